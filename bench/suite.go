package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// scope is how much is measured.
type scope struct {
	runs    int           // of each command, where nothing else is said
	lengths []lengthRuns  // of AAC in CBR 192
	setting time.Duration // length of the file for each setting
	codec   time.Duration // length of the file of each codec
	files   int           // converted several at once
	file    time.Duration // length of each of those
	atOnce  []int
	floor   time.Duration // length of the file whose stages are timed
}

type lengthRuns struct {
	length time.Duration
	runs   int
}

func fullScope(runs int) scope {
	return scope{
		runs: runs,
		// A short one costs little, and its start is noisy; two hours cost two minutes.
		lengths: []lengthRuns{{5 * time.Second, 3 * runs}, {time.Minute, runs}, {10 * time.Minute, runs}, {2 * time.Hour, min(runs, 3)}},
		setting: 10 * time.Minute, codec: 2 * time.Minute,
		files: 16, file: 30 * time.Second, atOnce: []int{1, 2, 4},
		floor: time.Minute,
	}
}

// quickScope takes some seconds: it shows that the bench works, and nothing about
// speed.
func quickScope() scope {
	return scope{
		runs: 1, lengths: []lengthRuns{{5 * time.Second, 2}, {20 * time.Second, 1}},
		setting: 5 * time.Second, codec: 5 * time.Second,
		files: 4, file: 5 * time.Second, atOnce: []int{1, 2, 4},
		floor: 5 * time.Second,
	}
}

// setting is a bit-rate mode in the words of the three commands.
type setting struct {
	name               string
	ours, ffmpeg, lame []string
}

var settings = []setting{
	{"CBR 192", []string{"--bitrate", "192"}, []string{"-c:a", "libmp3lame", "-b:a", "192k"}, []string{"--cbr", "-b", "192"}},
	{"VBR 2", []string{"--vbr", "2"}, []string{"-c:a", "libmp3lame", "-q:a", "2"}, []string{"-V", "2"}},
	{"ABR 160", []string{"--abr", "160"}, []string{"-c:a", "libmp3lame", "-abr", "1", "-b:a", "160k"}, []string{"--abr", "160"}},
}

// copied is how an MP3 track is taken out as it is.
var copied = setting{"copy", nil, []string{"-c:a", "copy"}, nil}

// The contenders. All that is not a ratio to ffmpeg is ffmpeg's.
const (
	serial    = "mp3lathe --parallelism 1"
	two       = "mp3lathe --parallelism 2"
	ours      = "mp3lathe"
	reference = "ffmpeg"
	lameAlone = "lame, of WAV"
)

// contender is one way to do what is measured.
type contender struct {
	name string
	work work
}

// suite runs everything.
type suite struct {
	scope
	dir     string // for sources and results
	program string
	heAAC   string // a file with HE-AAC, for which there is no free encoder; "" leaves it out
	results []result
}

func (s *suite) run(ctx context.Context) error {
	for _, l := range s.lengths {
		name := human(l.length)
		if err := s.single(ctx, "length", name, aac, l.length, settings[0], l.runs); err != nil {
			return err
		}
	}
	for _, set := range settings {
		if s.again("setting", set, s.setting) {
			continue
		}
		if err := s.single(ctx, "setting", set.name, aac, s.setting, set, s.runs); err != nil {
			return err
		}
	}
	for _, c := range codecs {
		set := settings[0]
		if c.name == "MP3" {
			set = copied
		}
		if c.name == heAAC && s.heAAC == "" {
			log.Print("HE-AAC is left out: -he-aac names no file")
			continue
		}
		if err := s.single(ctx, "codec", c.name, c, s.codec, set, s.runs); err != nil {
			return err
		}
	}
	return s.many(ctx)
}

// again takes over for another part what was measured already, and reports whether
// there was such a thing.
func (s *suite) again(part string, set setting, length time.Duration) bool {
	for _, x := range s.results {
		if x.Part == "length" && x.Setting == set.name && x.Audio == length.Seconds() {
			x.Part, x.Name = part, set.name
			s.results = append(s.results, x)
			return true
		}
	}
	return false
}

// single measures the conversion of one file.
func (s *suite) single(ctx context.Context, part, name string, c codec, length time.Duration, set setting, runs int) error {
	log.Printf("%s: %s", part, name)
	src, err := s.source(ctx, c, length)
	if err != nil {
		return err
	}
	convert := func(parallelism int) work {
		args := append([]string{s.program, "convert", "--overwrite", "--json", "--parallelism", strconv.Itoa(parallelism)}, set.ours...)
		return work{commands: [][]string{append(args, src, filepath.Join(s.dir, "ours.mp3"))}}
	}
	ffmpeg := work{commands: [][]string{s.ffmpeg(set, src, filepath.Join(s.dir, "ffmpeg.mp3"))}}
	contenders := []contender{{serial, convert(1)}, {reference, ffmpeg}, {ours, convert(0)}, {two, convert(2)}}
	if set.lame == nil {
		contenders = []contender{{ours, convert(0)}, {reference, ffmpeg}}
	} else {
		wav, err := s.wav(ctx, src)
		if err != nil {
			return err
		}
		defer os.Remove(wav)
		// Its analysis of loudness, which nobody else does, is left out.
		args := append([]string{"lame", "--silent", "--noreplaygain"}, set.lame...)
		contenders = append(contenders, contender{lameAlone, work{commands: [][]string{append(args, wav, filepath.Join(s.dir, "lame.mp3"))}}})
	}
	return s.measure(ctx, result{Part: part, Name: name, Setting: set.name, Codec: c.name, Audio: length.Seconds()}, contenders, runs)
}

// ffmpeg is its command line for a conversion.
func (s *suite) ffmpeg(set setting, src, dst string) []string {
	return append(append([]string{"ffmpeg", "-nostdin", "-v", "error", "-y", "-i", src, "-map", "0:a:0"}, set.ffmpeg...), dst)
}

// many measures the conversion of many files, several at once.
func (s *suite) many(ctx context.Context) error {
	log.Printf("files: %d of %v", s.files, s.file)
	src, err := s.source(ctx, aac, s.file)
	if err != nil {
		return err
	}
	var inputs []string
	for i := range s.files {
		name := filepath.Join(s.dir, fmt.Sprintf("file-%02d.mp4", i))
		if err := os.Link(src, name); err != nil {
			return err
		}
		inputs = append(inputs, name)
	}
	var contenders []contender
	for _, n := range s.atOnce {
		convert := func(more ...string) work {
			args := append([]string{s.program, "convert", "--overwrite", "--quiet", "-d", filepath.Join(s.dir, "many"), "-j", strconv.Itoa(n)}, settings[0].ours...)
			return work{commands: [][]string{append(append(args, more...), inputs...)}}
		}
		ffmpeg := work{atOnce: n}
		for i, in := range inputs {
			ffmpeg.commands = append(ffmpeg.commands, s.ffmpeg(settings[0], in, filepath.Join(s.dir, fmt.Sprintf("file-%02d.mp3", i))))
		}
		contenders = append(contenders, contender{atOnce(serial, n), convert("--parallelism", "1")}, contender{atOnce(reference, n), ffmpeg}, contender{atOnce(ours, n), convert()})
	}
	audio := float64(s.files) * s.file.Seconds()
	return s.measure(ctx, result{Part: "files", Name: fmt.Sprintf("%d of %s", s.files, human(s.file)), Setting: settings[0].name, Codec: aac.name, Audio: audio}, contenders, s.runs)
}

// atOnce names a contender that converts several files at once.
func atOnce(name string, n int) string { return fmt.Sprintf("%s, %d at once", name, n) }

// measure lets contenders take turns.
func (s *suite) measure(ctx context.Context, r result, contenders []contender, runs int) error {
	for _, c := range contenders {
		r.Contenders = append(r.Contenders, measured{Name: c.name})
	}
	first := 0
	if runs > 3 {
		first = -1 // a round that does not count
	}
	done := watch()
	for round := first; round < runs; round++ {
		for i, c := range contenders {
			took, err := measure(ctx, c.work)
			if err != nil {
				return err
			}
			if round >= 0 {
				r.Contenders[i].Runs = append(r.Contenders[i].Runs, took)
			}
		}
	}
	r.Load = done()
	s.results = append(s.results, r)
	return nil
}

// human writes a length as people do.
func human(d time.Duration) string {
	switch {
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d >= time.Minute && d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%g s", d.Seconds())
}

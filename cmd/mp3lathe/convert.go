package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/cage"
	"github.com/mp3lathe/mp3lathe/internal/human"
	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/transcode"
	"github.com/mp3lathe/mp3lathe/worker"
)

// convertCmd is "mp3lathe convert".
type convertCmd struct {
	In []string `arg:"" complete:"files" help:"MP4 files, or - for standard input. The last of two or more may be OUT: a file (.mp3, for one input), - for standard output, or a folder."`

	Output       string `short:"o" group:"Output:" placeholder:"OUT" xor:"output" complete:"files" help:"Name the output; every argument is then an input."`
	OutputDir    string `short:"d" group:"Output:" placeholder:"DIR" xor:"output" complete:"folders" help:"Folder for all MP3s, made if need be; every argument is then an input. Default: beside each input."`
	Recursive    bool   `short:"r" group:"Output:" help:"Convert all MP4 files in the folders given, at any depth. With OUT, its folders are made like theirs."`
	Overwrite    bool   `group:"Output:" xor:"exists" help:"Replace MP3s that exist. Default: refuse."`
	SkipExisting bool   `group:"Output:" xor:"exists" help:"Leave out what has an MP3 already, without an error."`

	Bitrate  job.Kbps     `short:"b" group:"Sound:" placeholder:"KBPS" xor:"encoding" help:"Constant bit rate in kb/s: ${bitrates}."`
	VBR      *int         `name:"vbr" group:"Sound:" placeholder:"Q" xor:"encoding" help:"Variable bit rate of constant quality: 0 (best) to 9 (smallest). Default: 2."`
	ABR      job.Kbps     `name:"abr" group:"Sound:" placeholder:"KBPS" xor:"encoding" help:"Variable bit rate with this average in kb/s: 8 to 320."`
	Rate     job.Hertz    `group:"Sound:" placeholder:"HZ" help:"Sample rate in Hz: ${rates}. Default: the source's, or the next that MP3 has."`
	Channels job.Channels `group:"Sound:" placeholder:"C" complete:"words:keep mono stereo" help:"Channels: keep, mono (or 1), stereo (or 2). Default: keep; more than two become stereo."`

	Track    int             `group:"Part:" placeholder:"N" xor:"track" help:"Audio track by its number, from 1. Default: the file's default track."`
	Lang     string          `group:"Part:" placeholder:"CODE" xor:"track" help:"First audio track in this language, such as eng or de."`
	Start    job.Position    `group:"Part:" placeholder:"TIME" help:"Begin here: seconds (62.5), 1m30s or 1:02:03.5. Default: the beginning."`
	End      job.Position    `group:"Part:" placeholder:"TIME" xor:"end" help:"End here. Default: the end."`
	Duration job.Position    `group:"Part:" placeholder:"TIME" xor:"end" help:"Convert this much. Default: up to the end."`
	MaxDur   job.LengthLimit `name:"max-duration" group:"Part:" placeholder:"TIME" help:"Refuse what makes a longer MP3; none for no limit. Default: 24h."`
	Partial  bool            `name:"allow-partial" group:"Part:" help:"Convert what there is of a file that is cut off or damaged. Default: refuse."`

	Title   string   `group:"Tags:" placeholder:"TEXT" help:"Set the title. Default of all tags: the source's."`
	Artist  string   `group:"Tags:" placeholder:"TEXT" help:"Set the artist."`
	Album   string   `group:"Tags:" placeholder:"TEXT" help:"Set the album."`
	Tag     []string `group:"Tags:" placeholder:"NAME=TEXT" sep:"none" complete:"tags" help:"Set a tag: ${tags}. May be given several times."`
	Cover   string   `group:"Tags:" placeholder:"FILE" complete:"files" help:"Cover art, a JPEG or PNG file. Default: the source's."`
	NoTags  bool     `group:"Tags:" help:"Leave out the source's tags."`
	NoCover bool     `group:"Tags:" help:"Leave out the source's cover art."`
	ID3v24  bool     `name:"id3v24" group:"Tags:" help:"Write ID3v2.4 tags. Default: ID3v2.3, which every player reads."`

	Jobs        int    `short:"j" group:"Running:" placeholder:"N" help:"Convert this many files at once. Default: one for each processor (${cpus})."`
	Parallelism int    `group:"Running:" placeholder:"N" help:"Encoders at work on one file: 1 for a single one; from 2 on, the MP3 is the same whatever N. Default: as many as there are processors without work."`
	Isolate     bool   `group:"Running:" help:"Convert each file in a locked-in process of its own (Linux), as the service does: for files that one does not trust."`
	Server      string `group:"Running:" placeholder:"URL" env:"MP3LATHE_SERVER" help:"Have this service convert: upload, wait, download. As who is logged in (mp3lathe login), or with --api-key-file."`
	APIKeyFile  string `name:"api-key-file" group:"Running:" placeholder:"FILE" env:"MP3LATHE_API_KEY_FILE" complete:"files" help:"File with an API key for --server."`

	Quiet bool `short:"q" group:"Running:" help:"Print errors only."`
	JSON  bool `name:"json" group:"Running:" help:"Print one JSON object for each input (docs/cli.md)."`

	remote *remote // nil: this machine converts
}

func (*convertCmd) usage() string { return "mp3lathe convert IN... [OUT] [flags]" }

func (*convertCmd) footer() string {
	return `Examples:
  mp3lathe convert talk.mp4                      make talk.mp3 beside it
  mp3lathe convert talk.mp4 lesson.mp3           name the output
  mp3lathe convert *.mp4 Music/                  many files into a folder
  mp3lathe convert -r Videos Music               a tree of folders
  mp3lathe convert --bitrate 192 talk.mp4        constant 192 kb/s
  mp3lathe convert --start 1:30 --duration 45s song.m4a ring.mp3
  curl -s https://example.org/talk.mp4 | mp3lathe convert - talk.mp3

` + exitCodes
}

// outcome is what became of a task.
type outcome struct {
	task
	result *transcode.Result
	err    error
}

// Run converts all inputs, prints one line or object for each in their order,
// and carries on past those that fail.
func (c *convertCmd) Run(ctx context.Context, std *stdio) error {
	var err error
	if c.remote, err = c.newRemote(); err != nil {
		return err
	}
	opts, err := c.options()
	if err != nil {
		return err
	}
	tasks, err := c.plan()
	if err != nil {
		return err
	}
	if err := c.checkStreams(tasks, std); err != nil {
		return err
	}
	converter := cage.Converter(transcode.Convert)
	if c.Isolate {
		cg, err := cage.New(ctx, cage.Config{})
		if err != nil {
			return err
		}
		defer cg.Close()
		if missing := cg.Locks().Missing(); missing != "" {
			fmt.Fprintf(std.err, "mp3lathe: --isolate: the kernel lacks %s; the files are locked in without\n", missing)
		}
		converter = cg.Convert
	}
	jobs := c.Jobs
	if jobs == 0 {
		jobs = runtime.GOMAXPROCS(0)
	}
	jobs = min(jobs, len(tasks))

	toStdout := len(tasks) == 1 && tasks[0].out == "-"
	r := newReport(std, c, toStdout)
	r.bars = newBars(std.err, len(tasks), !c.Quiet)
	inOrder(jobs, tasks, func(t task) outcome {
		result, err := c.convert(ctx, t, converter, opts, std, r.bars)
		return outcome{t, result, err}
	}, func(o outcome) { r.add(ctx, o) })
	r.bars.close()
	return r.end(ctx)
}

// convert does one task.
func (c *convertCmd) convert(ctx context.Context, t task, converter cage.Converter, opts transcode.Options, std *stdio, b *bars) (*transcode.Result, error) {
	if t.err != nil || t.skip {
		return nil, t.err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	bar := b.start(t.in)
	defer bar.stop()
	opts.Progress = bar.update
	src, closeSource, err := openInput(ctx, t.in, std.in)
	if err != nil {
		return nil, err
	}
	defer closeSource()

	var result *transcode.Result
	work := func(dst io.Writer) (err error) {
		if c.remote != nil {
			result, err = c.remote.convert(ctx, dst, src, t.in, bar.update)
			return err
		}
		result, err = converter(ctx, dst, src, &opts)
		return err
	}
	if t.out == "-" {
		err = writeStream(std.out.w, work)
	} else {
		err = writeFile(t.out, t.makeDir, c.Overwrite, work)
	}
	return result, err
}

// options are the command line as options of the package.
func (c *convertCmd) options() (transcode.Options, error) {
	if c.Jobs < 0 {
		return transcode.Options{}, usagef("--jobs %d: want 1 or more", c.Jobs)
	}
	s, err := c.settings()
	if err != nil {
		return transcode.Options{}, err
	}
	o := worker.Options(s)
	o.Parallelism = c.Parallelism
	if c.Cover != "" {
		data, err := readCover(c.Cover)
		if err != nil {
			return o, err
		}
		o.Cover = &transcode.Picture{Data: data}
	}
	if err := o.Validate(); err != nil {
		var terr *transcode.Error
		if errors.As(err, &terr) && terr.Detail != "" {
			return o, usagef("%s; mp3lathe convert --help shows how", terr.Detail)
		}
		return o, usagef("%v", err)
	}
	return o, nil
}

// maxCover is more than any player shows, and less than an ID3 tag holds.
const maxCover = 16 << 20

func readCover(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err == nil {
		defer f.Close()
		var data []byte
		if data, err = io.ReadAll(io.LimitReader(f, maxCover+1)); err == nil && len(data) > maxCover {
			return nil, usagef("the cover %s is larger than %s", name, human.Size(maxCover))
		} else if err == nil {
			return data, nil
		}
	}
	return nil, usagef("the cover %s cannot be read: %v", name, innermost(err))
}

// settings are the flags that a job of the service has too.
func (c *convertCmd) settings() (job.Settings, error) {
	s := job.Settings{
		Bitrate: int(c.Bitrate), VBR: c.VBR, ABR: int(c.ABR), Rate: int(c.Rate), Channels: int(c.Channels),
		Track: c.Track, Lang: c.Lang,
		Start: time.Duration(c.Start), End: time.Duration(c.End), Duration: time.Duration(c.Duration),
		MaxDuration: time.Duration(c.MaxDur), AllowPartial: c.Partial,
		NoTags: c.NoTags, NoCover: c.NoCover, ID3v24: c.ID3v24,
	}
	var given []string
	for _, t := range []struct{ name, value string }{{"title", c.Title}, {"artist", c.Artist}, {"album", c.Album}} {
		if t.value != "" {
			given = append(given, t.name+"="+t.value)
		}
	}
	for _, t := range append(given, c.Tag...) {
		if err := setTag(&s, t); err != nil {
			return s, err
		}
	}
	return s, nil
}

// setTag sets a tag given as NAME=TEXT.
func setTag(s *job.Settings, given string) error {
	if !strings.Contains(given, "=") {
		return usagef("--tag %q: want NAME=TEXT, such as --tag genre=Jazz", given)
	}
	// A command line can hold any bytes; a setting is text.
	err := s.Set("tag", strings.ToValidUTF8(given, "\uFFFD"))
	var serr *job.SettingError
	if errors.As(err, &serr) {
		return usagef("%s", strings.Replace(serr.Reason, "; no-tags ", "; --no-tags ", 1))
	}
	return err
}

// checkStreams refuses what standard input and output cannot do.
func (c *convertCmd) checkStreams(tasks []task, std *stdio) error {
	for _, t := range tasks {
		switch {
		case t.in == "-" && isTerminal(std.in):
			return usagef("standard input is a terminal; pipe an MP4 file into it, or name one")
		case t.out == "-" && c.JSON:
			return usagef("--json and the MP3 cannot both go to standard output; name an output file")
		case t.out == "-" && isTerminal(std.out.w):
			return usagef("an MP3 does not belong on a terminal; redirect it (> FILE.mp3) or name an output file")
		}
	}
	return nil
}

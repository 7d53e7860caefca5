//go:build !race

// What the race detector would change, or make take minutes; scripts/test.sh runs it
// without.

package transcode

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestMemory: a conversion with one encoder takes at most 32 MiB, whatever the size
// of the source; further encoders take a chunk of sound each (here 4.5 MB).
// It is measured in a process of its own.
func TestMemory(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const mib = 1 << 20
	for _, test := range []struct {
		kind string
		most int64
	}{
		{"gaps", 32 * mib},
		{"long", 32 * mib},
		{"pcm", 32 * mib},
		{"fragments", 32 * mib},
		{"cover", 32 * mib},
		{"parallel", 32 * mib}, // the sound is 37 MiB
		{"leak", 3 * mib},      // over 500 conversions
	} {
		t.Run(test.kind, func(t *testing.T) {
			cmd := exec.Command(program, "measure-memory", test.kind)
			if test.kind == "leak" {
				// glibc gives threads heaps of their own, and Go moves between
				// threads: with one heap, what grows is what leaks.
				cmd.Env = append(os.Environ(), "MALLOC_ARENA_MAX=1")
			}
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Logf("%s", bytes.TrimSpace(out))
			fields := strings.Fields(string(out))
			growth, err := strconv.ParseInt(fields[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			if growth > test.most {
				t.Errorf("memory grew by %d KiB, at most %d are allowed", growth>>10, test.most>>10)
			}
		})
	}
}

// TestCancelWhileEncoding: between reads too, within 50 ms when the machine has time
// for it.
func TestCancelWhileEncoding(t *testing.T) {
	t.Parallel()
	source := readFixture(t, "melody.mp4")
	least := time.Hour
	for try := 0; try < 20 && least > 50*time.Millisecond; try++ {
		ctx, cancel := context.WithCancel(t.Context())
		var at time.Time
		_, err := Convert(ctx, io.Discard, bytes.NewReader(source), &Options{
			Encoding: CBR(320),
			Progress: func(p Progress) {
				if at.IsZero() {
					at = time.Now()
					cancel()
				}
			},
		})
		least = min(least, time.Since(at))
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
	}
	if least > 50*time.Millisecond {
		t.Errorf("it took %v", least)
	}
}

// TestJudged: by the decoders of others, what several encoders make is sound, as
// long as what one makes, as large, and as good, near splices too. Chunks are
// shorter than they ever are, so that there are many splices.
func TestJudged(t *testing.T) {
	t.Parallel()
	var all losses
	var spliced, unspliced atomic.Int64
	t.Run("each", func(t *testing.T) {
		for _, j := range judgedCases() {
			t.Run(j.String(), func(t *testing.T) {
				t.Parallel()
				p := cachedSound(t, j.kind, j.rate, j.channels, 240*blockSize(j.rate)).first(j.samples)
				serial := encodeSerial(t, j.encoderConfig, p)
				got := engine{plan: j.plan(), most: 2}.encode(t, j.encoderConfig, p)
				if len(got.splices) < 1 {
					t.Errorf("no splices, %d unspliced", got.in)
				}
				spliced.Add(int64(len(got.splices)))
				unspliced.Add(int64(got.in))
				checkStreams(t, j.encoderConfig, serial, got)
				file := got.file(t, j.encoderConfig, j.samples)
				checkDecoders(t, file, j.channels, j.samples)

				want := p.quantized(j.format)
				one, many := play(t, serial.file(t, j.encoderConfig, j.samples), j.channels), play(t, file, j.channels)
				if db := totalSNR(want, one) - totalSNR(want, many); db > 0.02 {
					t.Errorf("%.3f dB are lost", db)
				}
				all.add(t, j.String(), frameSNR(want, one, j.rate, len(serial.frames)), frameSNR(want, many, j.rate, len(serial.frames)), got.splices)
			})
		}
	})
	// In chunks so short it may happen; in one of fifty it would cost something.
	if unspliced.Load()*50 > spliced.Load() {
		t.Errorf("%d splices, %d unspliced", spliced.Load(), unspliced.Load())
	}
	if !t.Failed() {
		all.check(t)
	}
}

// TestCorpus does the same with real files from elsewhere, where they are:
// MP3LATHE_CORPUS names their folder. testdata/corpus.tsv holds what is expected.
func TestCorpus(t *testing.T) {
	t.Parallel()
	folder := os.Getenv("MP3LATHE_CORPUS")
	if folder == "" {
		t.Skip("MP3LATHE_CORPUS names no folder of real files")
	}
	rows := table(t, filepath.Join("..", "testdata", "corpus.tsv"))
	expected := map[string]bool{}
	for _, row := range rows {
		expected[row["file"]] = true
		t.Run(row["file"], func(t *testing.T) {
			t.Parallel()
			dst := filepath.Join(t.TempDir(), "out.mp3")
			r, err := ConvertFile(t.Context(), dst, filepath.Join(folder, row["file"]), nil)
			if got := CodeOf(err); !slices.Contains(codes(row["expected"]), got) {
				t.Fatalf("outcome %q, want %q: %v", got, row["expected"], err)
			}
			if err != nil {
				return
			}
			rate, samples := int(number(row["rate"])), number(row["samples"])
			if r.Settings.SampleRate != rate || r.Samples != samples {
				t.Errorf("%d samples at %d Hz, want %d at %d", r.Samples, r.Settings.SampleRate, samples, rate)
			}
			if got := playedSamples(t, dst, r.Settings.Channels); got != samples {
				t.Errorf("mpg123 plays %d samples, want %d", got, samples)
			}
			checkMP3(t, dst)
		})
	}
	files, err := filepath.Glob(filepath.Join(folder, "*", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", folder, err)
	}
	for _, f := range files {
		if name, _ := filepath.Rel(folder, f); !expected[filepath.ToSlash(name)] {
			t.Errorf("%s has no row in testdata/corpus.tsv", name)
		}
	}
}

// TestBytesRead: of a video, little more than index and audio is read.
func TestBytesRead(t *testing.T) {
	t.Parallel()
	files := []string{fixturePath("melody.mp4"), fixturePath("camera.mov"), fixturePath("media/frag-mixed.mp4"), fixturePath("media/frag-separate.mp4")}
	if corpus := os.Getenv("MP3LATHE_CORPUS"); corpus != "" {
		for _, name := range []string{"tears_of_steel_2s_1920x800.mp4", "mdn_crystal.mp4", "bbb_596s_heaac_remuxed_faststart.mp4", "androidx_362s_1080p_silent.mp4"} {
			files = append(files, corpus+"/ordinary/"+name)
		}
	}
	for _, file := range files {
		_, r := convert(t, file, nil)
		// All packets of the track, as ffprobe counts them.
		var audio int64
		for _, line := range bytes.Fields(run(t, "ffprobe", "-v", "error", "-ignore_editlist", "1", "-select_streams", "a:0", "-show_entries", "packet=size", "-of", "csv=p=0", file)) {
			n, _ := strconv.ParseInt(string(bytes.TrimRight(line, ",")), 10, 64)
			audio += n
		}
		index := indexBytes(t, file)
		if most := index + audio + windowsReadTwice; r.BytesRead > most {
			t.Errorf("%s: %d bytes read; index %d, audio %d, allowance %d", file, r.BytesRead, index, audio, windowsReadTwice)
		}
		if info, err := os.Stat(file); err != nil || r.BytesRead >= info.Size() {
			t.Errorf("%s: %d bytes read of %d", file, r.BytesRead, info.Size())
		}
	}
}

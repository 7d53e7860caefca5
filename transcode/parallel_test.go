package transcode

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/mp3lathe/mp3lathe/transcode/internal/mp3"
)

// longSource makes a file that is long enough for several chunks, 1,723 frames or
// four chunks if it is 45 s at 22,050 Hz, and returns its bytes.
func longSource(t testing.TB, kind string, rate, channels, samples int) []byte {
	t.Helper()
	p := cachedSound(t, kind, rate, channels, samples)
	var raw bytes.Buffer
	for i := range samples {
		for c := range p {
			_ = binary.Write(&raw, binary.LittleEndian, int16(math.Round(p[c][i]*32767)))
		}
	}
	path := filepath.Join(t.TempDir(), "long.mov")
	cmd := exec.Command("ffmpeg", "-v", "error", "-f", "s16le", "-ar", strconv.Itoa(rate), "-ac", strconv.Itoa(channels), "-i", "-", "-c:a", "pcm_s16le", "-movflags", "+faststart", path)
	cmd.Stdin = &raw
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestParallel: the whole conversion, with one encoder and with several. The bytes
// do not depend on how many these are; the header says what it must, and is the same
// but for what is in the frames.
func TestParallel(t *testing.T) {
	t.Parallel()
	const rate, samples = 22050, 45*22050 + 77
	src := longSource(t, "speech", rate, 1, samples)
	for _, e := range []Encoding{CBR(64), VBR(4), ABR(56)} {
		t.Run(e.String(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := func(n int) (string, *Result) {
				path := filepath.Join(dir, fmt.Sprint(n)+".mp3")
				f, err := os.Create(path)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				r, err := Convert(t.Context(), f, bytes.NewReader(src), &Options{Encoding: e, Parallelism: n, NoTags: true})
				if err != nil {
					t.Fatal(err)
				}
				return path, r
			}
			one, r1 := file(1)
			two, r2 := file(2)
			if r1.Chunks != 1 || r2.Chunks != 4 || r2.Unspliced != 0 {
				t.Errorf("%d chunks with one encoder, %d with two, %d unspliced", r1.Chunks, r2.Chunks, r2.Unspliced)
			}
			want, err := os.ReadFile(two)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range []int{3, 7} {
				path, _ := file(n)
				if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d encoders make other bytes than 2 (%v)", n, err)
				}
			}
			idle, r0 := file(0)
			for _, path := range []string{two, idle} {
				checkDecoders(t, path, 1, samples)
			}
			if r0.Samples != r1.Samples || r2.Samples != r1.Samples || r2.Frames != r1.Frames || r0.Frames != r1.Frames {
				t.Errorf("samples %d, %d, %d; frames %d, %d, %d", r0.Samples, r1.Samples, r2.Samples, r0.Frames, r1.Frames, r2.Frames)
			}
			if d := math.Abs(float64(r2.BytesWritten-r1.BytesWritten)) / float64(r1.BytesWritten); d > 0.005 || e.mode == modeCBR && d != 0 {
				t.Errorf("%d bytes, want %d", r2.BytesWritten, r1.BytesWritten)
			}

			i1, _, h1, _ := mp3Frames(t, one)
			i2, size, h2, audio := mp3Frames(t, two)
			if e.mode == modeCBR && !slices.Equal(h1, h2) {
				t.Error("other headers than those of one encoder")
			}
			if i2.MusicCRC != mp3.CRC16(0, audio) || int(i2.Bytes) != size+len(audio) || i2.TOC == nil {
				t.Errorf("header %+v", i2)
			}
			i1.MusicCRC, i1.Bytes, i1.TOC = i2.MusicCRC, i2.Bytes, i2.TOC
			if i1 != i2 {
				t.Errorf("header %+v, with one encoder %+v", i2, i1)
			}
		})
	}
}

// TestParallelErrors: what goes wrong in a conversion with several encoders goes
// wrong in the same way as with one.
func TestParallelErrors(t *testing.T) {
	const rate, samples = 22050, 45 * 22050
	src := longSource(t, "speech", rate, 1, samples)
	leavesNothing(t)
	for _, n := range []int{0, 1, 2, 5} {
		o := func() *Options { return &Options{Encoding: CBR(64), Parallelism: n} }
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			limited := o()
			limited.Limits.OutputBytes = 200_000
			var out bytes.Buffer
			if _, err := Convert(t.Context(), &out, bytes.NewReader(src), limited); !errors.Is(err, ErrLimit) || out.Len() > 200_000 {
				t.Errorf("limit: %v, %d bytes", err, out.Len())
			}

			canceled := o()
			ctx, cancel := context.WithCancel(t.Context())
			told := 0
			canceled.Progress = func(Progress) {
				told++
				cancel()
			}
			if _, err := Convert(ctx, &bytes.Buffer{}, bytes.NewReader(src), canceled); CodeOf(err) != CodeCanceled || told == 0 {
				t.Errorf("canceled: %v", err)
			}

			if _, err := Convert(t.Context(), &fullDisk{left: 100_000}, bytes.NewReader(src), o()); !errors.Is(err, errDisk) {
				t.Errorf("full disk: %v", err)
			}

			// Less than the index promises.
			partial := o()
			partial.AllowPartial = true
			r, err := Convert(t.Context(), &bytes.Buffer{}, bytes.NewReader(src[:len(src)/3]), partial)
			if err != nil || !r.Partial || r.Samples < samples/4 {
				t.Errorf("partial: %+v, %v", r, err)
			}

			var last Progress
			whole := o()
			whole.Progress = func(p Progress) {
				if p.Position < last.Position || last.Done {
					t.Errorf("progress %+v after %+v", p, last)
				}
				last = p
			}
			if _, err := Convert(t.Context(), &bytes.Buffer{}, bytes.NewReader(src), whole); err != nil || !last.Done || last.Position != last.Total {
				t.Errorf("%v, progress %+v", err, last)
			}
		})
	}
	for _, n := range []int{-1, maxParallelism + 1} {
		if err := (&Options{Parallelism: n}).Validate(); !errors.Is(err, ErrOptions) {
			t.Errorf("parallelism %d: %v", n, err)
		}
	}
}

// TestBusy: by default, a short file that comes when there is work for all processors
// has one encoder. (Not in parallel with other tests, whose processors these are.)
func TestBusy(t *testing.T) {
	src := longSource(t, "music", 22050, 1, 45*22050)
	convert := func(n int) ([]byte, *Result) {
		var out bytes.Buffer
		r, err := Convert(t.Context(), &out, bytes.NewReader(src), &Options{Parallelism: n})
		if err != nil {
			t.Fatal(err)
		}
		return out.Bytes(), r
	}
	for range processors.size() {
		processors.join(true)
	}
	got, r := convert(0)
	for range processors.size() {
		processors.quit()
	}
	if want, _ := convert(1); r.Chunks != 1 || !bytes.Equal(got, want) {
		t.Errorf("%d chunks, or other bytes than one encoder makes", r.Chunks)
	}
	if _, r := convert(0); processors.size() > 1 && r.Chunks < 2 {
		t.Errorf("%d chunks where nobody else works", r.Chunks)
	}
}

package transcode

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

var errDisk = errors.New("the disk is on fire")

func readFixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(fixturePath(name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// seekable gives a wrapped reader back its Seek.
type seekable struct {
	io.Reader
	io.Seeker
}

// reference is the MP3 that a source makes.
func reference(t testing.TB, source []byte, o *Options) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := Convert(t.Context(), &out, bytes.NewReader(source), o); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestReaders: however a reader cuts its data and reports its end, the result is
// the same.
func TestReaders(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"media/aac-moov-last.mp4", "media/frag-dash.mp4", "media/pcm-u8.mov"} {
		source := readFixture(t, file)
		want := reference(t, source, nil)
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"one byte":      iotest.OneByteReader,
			"half":          iotest.HalfReader,
			"data with EOF": func(r io.Reader) io.Reader { return eofWithData{r.(*bytes.Reader)} },
			"empty reads":   func(r io.Reader) io.Reader { return &emptyReads{r: r} },
		} {
			t.Run(file+"/"+name, func(t *testing.T) {
				t.Parallel()
				r := bytes.NewReader(source)
				var got bytes.Buffer
				if _, err := Convert(t.Context(), &got, seekable{wrap(r), r}, nil); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got.Bytes(), want) {
					t.Error("another result")
				}
			})
		}
	}
}

// eofWithData reports the end together with the last bytes, as [io.Reader] allows.
// (iotest.DataErrReader does too, but reads ahead and so can't seek.)
type eofWithData struct{ r *bytes.Reader }

func (e eofWithData) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if err == nil && e.r.Len() == 0 {
		err = io.EOF
	}
	return n, err
}

// emptyReads returns nothing every other time.
type emptyReads struct {
	r io.Reader
	n int
}

func (e *emptyReads) Read(p []byte) (int, error) {
	if e.n++; e.n%2 == 1 {
		return 0, nil
	}
	return e.r.Read(p)
}

// failing fails once so many bytes were read or seeks made.
type failing struct {
	*bytes.Reader
	bytes, seeks int
}

func (f *failing) Read(p []byte) (int, error) {
	if f.bytes <= 0 {
		return 0, errDisk
	}
	n, err := f.Reader.Read(p[:min(len(p), f.bytes)])
	f.bytes -= n
	return n, err
}

func (f *failing) Seek(off int64, whence int) (int64, error) {
	if f.seeks--; f.seeks < 0 {
		return 0, errDisk
	}
	return f.Reader.Seek(off, whence)
}

// TestReaderErrors: an error of the caller's reader comes back as it is, wherever
// it happens, and never looks like the end of the file.
func TestReaderErrors(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"media/aac-tiny.m4a", "media/frag-audio.m4a", "media/mp3-cbr.mp4", "waltz.m4a"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			source := readFixture(t, file)
			step := 1 // every offset, where that is quick
			if len(source) > 2<<10 {
				step = len(source) / 400
			}
			for _, o := range []*Options{nil, {AllowPartial: true}} {
				for n := 0; ; n += step {
					r := &failing{Reader: bytes.NewReader(source), bytes: n, seeks: 1 << 30}
					result, err := Convert(t.Context(), io.Discard, r, o)
					if err == nil {
						if n < int(result.BytesRead) {
							t.Fatalf("it needed %d bytes and was fine with %d", result.BytesRead, n)
						}
						break
					}
					checkCallersError(t, err)
				}
			}
			for n := 0; ; n++ {
				r := &failing{Reader: bytes.NewReader(source), bytes: 1 << 30, seeks: n}
				if _, err := Convert(t.Context(), io.Discard, r, nil); err == nil {
					break
				} else {
					checkCallersError(t, err)
				}
			}
			for n := 0; ; n += step {
				r := &failing{Reader: bytes.NewReader(source), bytes: n, seeks: 1 << 30}
				if _, err := Probe(t.Context(), r); err == nil {
					break
				} else {
					checkCallersError(t, err)
				}
			}
		})
	}
}

func checkCallersError(t *testing.T, err error) {
	t.Helper()
	var typed *Error
	if !errors.As(err, &typed) || typed.Err != errDisk {
		t.Fatalf("got %v (%T), want the reader's own error in an *Error", err, err)
	}
	if CodeOf(err) != CodeIO {
		t.Fatalf("code %q, want %q", CodeOf(err), CodeIO)
	}
}

// TestWriterErrors: so do errors of the caller's writer.
func TestWriterErrors(t *testing.T) {
	t.Parallel()
	source := readFixture(t, "waltz.m4a")
	for _, n := range []int{0, 1, 1000, 70_000} {
		_, err := Convert(t.Context(), &fullDisk{left: n}, bytes.NewReader(source), nil)
		checkCallersError(t, err)
	}
}

type fullDisk struct{ left int }

func (f *fullDisk) Write(p []byte) (int, error) {
	n := min(len(p), f.left)
	f.left -= n
	if n < len(p) {
		return n, errDisk
	}
	return n, nil
}

// TestShortFiles: a file cut off anywhere is refused as such or, with
// AllowPartial, gives what there was. It never passes for a whole one.
func TestShortFiles(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"media/aac-moov-first.mp4", "media/aac-moov-last.mp4", "media/frag-dash.mp4", "media/mp3-cbr.mp4"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			source := readFixture(t, file)
			for n := 0; n < len(source); n += max(1, len(source)/150) {
				_, err := Convert(t.Context(), io.Discard, bytes.NewReader(source[:n]), nil)
				switch code := CodeOf(err); code {
				case CodeTruncated, CodeInvalidData:
				case "":
					// A fragmented file may end after any fragment, and what
					// follows the audio may be missing.
					if whole := len(reference(t, source, nil)); !strings.Contains(file, "frag") && len(reference(t, source[:n], nil)) != whole {
						t.Errorf("%d bytes of %d pass for a whole file", n, len(source))
					}
				case CodeNoAudio:
					if !strings.Contains(file, "frag") {
						t.Errorf("%d bytes: %v", n, err)
					}
				default:
					t.Errorf("%d bytes: %v", n, err)
				}
				r, err := Convert(t.Context(), io.Discard, bytes.NewReader(source[:n]), &Options{AllowPartial: true})
				if err == nil && (r.Samples == 0 || r.Partial != (r.PartialReason != nil)) {
					t.Errorf("%d bytes: partial result %+v", n, r)
				}
			}
		})
	}
}

func TestAllowPartial(t *testing.T) {
	t.Parallel()
	_, whole := convert(t, fixturePath("media/aac-moov-first.mp4"), nil)
	source := readFixture(t, "media/aac-moov-first.mp4")
	half := source[:len(source)*2/3]
	if _, err := Convert(t.Context(), io.Discard, bytes.NewReader(half), nil); !errors.Is(err, ErrTruncated) {
		t.Fatalf("a cut-off file: %v", err)
	}
	r, err := Convert(t.Context(), io.Discard, bytes.NewReader(half), &Options{AllowPartial: true})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Partial || !errors.Is(r.PartialReason, ErrTruncated) || r.Samples <= 0 || r.Samples >= whole.Samples {
		t.Errorf("partial result: %+v", r)
	}
}

func TestOptionErrors(t *testing.T) {
	t.Parallel()
	source := readFixture(t, "media/aac-stereo.m4a")
	for name, o := range map[string]Options{
		"bit rate":         {Encoding: CBR(100)},
		"quality":          {Encoding: VBR(10)},
		"average":          {Encoding: ABR(400)},
		"sample rate":      {SampleRate: 44000},
		"channels":         {Channels: 3},
		"track":            {Track: -1},
		"two choices":      {Track: 1, Language: "eng"},
		"start":            {Start: -1},
		"end":              {End: -1},
		"duration":         {Duration: -1},
		"end and duration": {End: 1, Duration: 1},
		"backwards":        {Start: 2, End: 1},
		"tag version":      {ID3: 7},
		"start too late":   {Start: time.Hour},
	} {
		if _, err := Convert(t.Context(), io.Discard, bytes.NewReader(source), &o); !errors.Is(err, ErrOptions) || CodeOf(err) != CodeOptions {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTrackErrors(t *testing.T) {
	t.Parallel()
	source := readFixture(t, "media/tracks-first-default.mp4")
	for name, o := range map[string]Options{
		"track":    {Track: 3},
		"language": {Language: "fra"},
	} {
		if _, err := Convert(t.Context(), io.Discard, bytes.NewReader(source), &o); !errors.Is(err, ErrNoAudio) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	source := readFixture(t, "media/pcm-5.1.mov")
	tracks := readFixture(t, "melody.mp4")
	for name, test := range map[string]struct {
		source []byte
		limits Limits
	}{
		"duration":   {source, Limits{Duration: 100 * time.Millisecond}},
		"output":     {source, Limits{OutputBytes: 1000}},
		"channels":   {source, Limits{Channels: 2}},
		"tracks":     {tracks, Limits{Tracks: 1}},
		"allocation": {source, Limits{Allocation: 1000}},
	} {
		_, err := Convert(t.Context(), io.Discard, bytes.NewReader(test.source), &Options{Limits: test.limits})
		if !errors.Is(err, ErrLimit) || CodeOf(err) != CodeLimit {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Convert(t.Context(), io.Discard, bytes.NewReader(test.source), &Options{Limits: Limits{-1, -1, -1, -1, -1}}); err != nil {
			t.Errorf("without limits: %v", err)
		}
	}
}

// TestUnsupportedNamesCodec: the error says which codec it was.
func TestUnsupportedNamesCodec(t *testing.T) {
	t.Parallel()
	_, err := ConvertFile(t.Context(), filepath.Join(t.TempDir(), "x.mp3"), fixturePath("media/bad-codec-ac4.mp4"), nil)
	var typed *Error
	if !errors.As(err, &typed) || !errors.Is(err, ErrUnsupported) || typed.Codec == "" || !strings.Contains(err.Error(), typed.Codec) {
		t.Errorf("got %v", err)
	}
}

// TestConvertFile: the file is whole or not there, and an older one stays until
// then.
func TestConvertFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	only := func(names ...string) {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range entries {
			got = append(got, e.Name())
		}
		if strings.Join(got, " ") != strings.Join(names, " ") {
			t.Errorf("the folder holds %q, want %q", got, names)
		}
	}
	dst := filepath.Join(dir, "a.mp3")
	for _, bad := range []string{"media/bad-noise.m4a", "media/bad-cut-mdat.mp4", "media/bad-text.mp4"} {
		if _, err := ConvertFile(t.Context(), dst, fixturePath(bad), nil); err == nil {
			t.Errorf("%s was converted", bad)
		}
		only()
	}
	if err := os.WriteFile(dst, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ConvertFile(t.Context(), dst, fixturePath("media/bad-noise.m4a"), nil); err == nil {
		t.Error("noise was converted")
	}
	if b, _ := os.ReadFile(dst); string(b) != "old" {
		t.Error("a failure destroyed the file that was there")
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := ConvertFile(ctx, dst, fixturePath("waltz.m4a"), &Options{Progress: func(Progress) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	only("a.mp3")
	link := filepath.Join(dir, "b.mp3")
	if err := os.Symlink("a.mp3", link); err != nil {
		t.Fatal(err)
	}
	if _, err := ConvertFile(t.Context(), link, fixturePath("waltz.m4a"), nil); err != nil {
		t.Fatal(err)
	}
	only("a.mp3", "b.mp3")
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Error("the link was replaced, not what it points to")
	}
	checkMP3(t, dst)
	if _, err := ConvertFile(t.Context(), os.DevNull, fixturePath("waltz.m4a"), nil); err != nil {
		t.Errorf("to %s: %v", os.DevNull, err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Errorf("%s is no device any more", os.DevNull)
	}
	src := filepath.Join(dir, "c.mp4")
	if err := os.WriteFile(src, readFixture(t, "waltz.m4a"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ConvertFile(t.Context(), src, src, nil); !errors.Is(err, ErrOptions) {
		t.Errorf("onto itself: %v", err)
	}
	for _, missing := range []string{filepath.Join(dir, "none.mp4"), filepath.Join(dir, "none", "x.mp4")} {
		if _, err := ConvertFile(t.Context(), dst, missing, nil); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("no such source: %v", err)
		}
	}
	if _, err := ConvertFile(t.Context(), filepath.Join(dir, "none", "x.mp3"), src, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such folder: %v", err)
	}
}

// TestCancel: the context is obeyed at once, wherever the conversion is.
func TestCancel(t *testing.T) {
	t.Parallel()
	source := readFixture(t, "waltz.m4a")
	for n := range 60 {
		ctx, cancel := context.WithCancel(t.Context())
		r := &countdown{Reader: bytes.NewReader(source), n: n, act: cancel}
		if _, err := Convert(ctx, io.Discard, r, nil); err == nil {
			cancel()
			if r.n >= 0 {
				break // it needs fewer reads than that
			}
			t.Fatalf("canceled at read %d and went on to the end", n)
		} else if !errors.Is(err, context.Canceled) || CodeOf(err) != CodeCanceled {
			t.Fatalf("canceled at read %d: %v", n, err)
		}
	}
	ctx, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	if _, err := Convert(ctx, io.Discard, bytes.NewReader(source), nil); !errors.Is(err, context.DeadlineExceeded) || CodeOf(err) != CodeTimeout {
		t.Errorf("past the deadline: %v", err)
	}
	if _, err := Probe(ctx, bytes.NewReader(source)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("past the deadline: %v", err)
	}
}

// countdown acts at the n-th read.
type countdown struct {
	*bytes.Reader
	n   int
	act func()
}

func (c *countdown) Read(p []byte) (int, error) {
	if c.n == 0 {
		c.act()
	}
	c.n--
	return c.Reader.Read(p)
}

func TestProgress(t *testing.T) {
	t.Parallel()
	var seen []Progress
	r, err := Convert(t.Context(), io.Discard, bytes.NewReader(readFixture(t, "melody.mp4")), &Options{
		Progress: func(p Progress) { seen = append(seen, p) },
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range seen {
		if p.Total != r.Duration || p.Position > p.Total || i > 0 && p.Position < seen[i-1].Position {
			t.Errorf("progress %d: %+v", i, p)
		}
		if p.Done != (i == len(seen)-1) {
			t.Errorf("progress %d of %d has Done %v", i, len(seen), p.Done)
		}
	}
	if len(seen) == 0 || seen[len(seen)-1].Position != r.Duration {
		t.Errorf("the end was not reported: %+v", seen)
	}
}

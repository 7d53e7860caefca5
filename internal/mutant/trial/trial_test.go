package trial

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/mutant"
	"github.com/mp3lathe/mp3lathe/transcode"
)

// frame is a frame of 128 kb/s in stereo at 44.1 kHz.
func frame() []byte { return append([]byte{0xff, 0xfb, 0x90, 0x64}, make([]byte, 413)...) }

// song is a file of n frames, whose header frame tells of told and leaves cut samples out.
func song(n, told, cut int) []byte {
	head := frame()
	copy(head[36:], "Info\x00\x00\x00\x01")
	head[47] = byte(told)
	copy(head[48:], "LAME3.100")
	v := 576<<12 | (cut - 576)
	copy(head[48+21:], []byte{byte(v >> 16), byte(v >> 8), byte(v)})
	return append(head, bytes.Repeat(frame(), n)...)
}

// good is the result that belongs to song(4, 4, 1152).
func good() *transcode.Result {
	return &transcode.Result{
		Settings: transcode.Settings{SampleRate: 44100, Channels: 2},
		Samples:  3 * 1152, Frames: 4, BytesWritten: 5 * 417,
	}
}

func blamed(err error) *transcode.Error { return &transcode.Error{Op: "decode", Err: err} }

// TestTry: what is right passes, and each thing that is wrong is found.
func TestTry(t *testing.T) {
	t.Parallel()
	makes := func(file []byte, change func(*transcode.Result)) Converter {
		return func(_ context.Context, dst io.Writer, _ io.ReadSeeker, _ *transcode.Options) (*transcode.Result, error) {
			_, _ = dst.Write(file)
			r := good()
			change(r)
			return r, nil
		}
	}
	fails := func(err error) Converter {
		return func(context.Context, io.Writer, io.ReadSeeker, *transcode.Options) (*transcode.Result, error) {
			return nil, err
		}
	}
	same := func(*transcode.Result) {}
	whole := song(4, 4, 1152)
	for name, test := range map[string]struct {
		convert Converter
		want    string // in the finding
	}{
		"a song":           {makes(whole, same), ""},
		"invalid":          {fails(blamed(transcode.ErrInvalidData)), ""},
		"limit":            {fails(blamed(transcode.ErrLimit)), ""},
		"accepted":         {fails(errAccepted), ""},
		"no type":          {fails(transcode.ErrInvalidData), "without a type"},
		"the machine's":    {fails(blamed(io.ErrUnexpectedEOF)), "io_error"},
		"the options'":     {fails(blamed(transcode.ErrOptions)), "bad_options"},
		"canceled":         {fails(blamed(context.Canceled)), "canceled"},
		"nothing written":  {makes(nil, same), "no MP3"},
		"no header frame":  {makes(bytes.Repeat(frame(), 4), same), "no header frame"},
		"cut off":          {makes(whole[:len(whole)-1], same), "cut off"},
		"noise":            {makes(append(bytes.Clone(whole), 1, 2, 3, 4), same), "no frame"},
		"a gap":            {makes(append(bytes.Clone(whole[:900]), whole[901:]...), same), "no frame"},
		"tag":              {makes(append([]byte("ID3\x03\x00\x00\x7f\x7f\x7f\x7f"), whole...), same), "tag"},
		"no sound":         {makes(whole, func(r *transcode.Result) { r.Samples = 0 }), "without sound"},
		"more frames":      {makes(whole, func(r *transcode.Result) { r.Frames++ }), "frames are told"},
		"more samples":     {makes(whole, func(r *transcode.Result) { r.Samples = 4*1152 + 1 }), "samples are told"},
		"fewer samples":    {makes(whole, func(r *transcode.Result) { r.Samples = 1 }), "samples are told"},
		"other bytes":      {makes(whole, func(r *transcode.Result) { r.BytesWritten-- }), "bytes are told"},
		"other rate":       {makes(whole, func(r *transcode.Result) { r.Settings.SampleRate = 48000 }), "are told"},
		"other channels":   {makes(whole, func(r *transcode.Result) { r.Settings.Channels = 1 }), "are told"},
		"header frame":     {makes(song(4, 3, 1152), same), "header frame"},
		"padding":          {makes(song(4, 4, 1000), same), "header frame leaves"},
		"too much written": {makes(bytes.Repeat(whole, 2000), func(*transcode.Result) {}), "at most"},
		"a panic": {func(context.Context, io.Writer, io.ReadSeeker, *transcode.Options) (*transcode.Result, error) {
			panic("oh")
		}, "a panic: oh"},
		"reads on": {func(_ context.Context, _ io.Writer, src io.ReadSeeker, _ *transcode.Options) (*transcode.Result, error) {
			for range 40 << 20 / 100 {
				_, _ = src.Seek(0, io.SeekStart)
				_, _ = io.Copy(io.Discard, struct{ io.Reader }{src})
			}
			return nil, blamed(transcode.ErrInvalidData)
		}, "bytes were read"},
		"hangs": {func(ctx context.Context, _ io.Writer, _ io.ReadSeeker, _ *transcode.Options) (*transcode.Result, error) {
			<-ctx.Done()
			return nil, blamed(ctx.Err())
		}, "it took more than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := Rules{Convert: test.convert, Accept: func(err error) bool { return err == errAccepted }}
			if name == "hangs" {
				r.Wall = 20 * time.Millisecond
			}
			d := mutant.Draw{Number: plainNumber(t), Mutant: mutant.Mutant{Name: name, Data: make([]byte, 100)}}
			_, finding := r.Try(t.Context(), d)
			switch {
			case test.want == "" && finding != nil:
				t.Errorf("found: %v", finding)
			case test.want != "" && (finding == nil || !strings.Contains(finding.Error(), test.want)):
				t.Errorf("found %v, want %q", finding, test.want)
			}
		})
	}
}

var errAccepted = errors.New("accepted")

// plainNumber is that of a draw with the default options and an output that seeks.
func plainNumber(t *testing.T) int {
	for n := 1; n < 1000; n += 2 {
		if o := Options(n); !o.AllowPartial && o.Start == 0 && o.Channels == transcode.KeepChannels {
			return n
		}
	}
	t.Fatal("there is none")
	return 0
}

// TestProcessor and memory are those of the process, so no other test may run beside.
func TestProcessorAndMemory(t *testing.T) {
	data := make([]byte, 100)
	busy := Rules{CPU: 50 * time.Millisecond, Convert: func(context.Context, io.Writer, io.ReadSeeker, *transcode.Options) (*transcode.Result, error) {
		for before := processorTime(); processorTime()-before < 100*time.Millisecond; {
		}
		return nil, blamed(transcode.ErrInvalidData)
	}}
	if _, finding := busy.Try(t.Context(), mutant.Draw{Mutant: mutant.Mutant{Data: data}}); finding == nil || !strings.Contains(finding.Error(), "of the processor") {
		t.Errorf("a busy converter: %v", finding)
	}
	if resident("VmHWM:") == 0 {
		t.Skip("the system does not tell of memory")
	}
	var kept []byte
	hungry := Rules{Memory: 8 << 20, Convert: func(context.Context, io.Writer, io.ReadSeeker, *transcode.Options) (*transcode.Result, error) {
		kept = bytes.Repeat([]byte{1}, 64<<20)
		return nil, blamed(transcode.ErrInvalidData)
	}}
	if _, finding := hungry.Try(t.Context(), mutant.Draw{Mutant: mutant.Mutant{Data: data}}); finding == nil || !strings.Contains(finding.Error(), "grew by") {
		t.Errorf("a hungry converter: %v", finding)
	}
	_ = kept
	modest := Rules{Memory: 64 << 20, Convert: func(context.Context, io.Writer, io.ReadSeeker, *transcode.Options) (*transcode.Result, error) {
		return nil, blamed(transcode.ErrInvalidData)
	}}
	if _, finding := modest.Try(t.Context(), mutant.Draw{Mutant: mutant.Mutant{Data: data}}); finding != nil {
		t.Errorf("a modest converter: %v", finding)
	}
}

// TestProbe: so is what Probe says.
func TestProbe(t *testing.T) {
	t.Parallel()
	convert := func(context.Context, io.Writer, io.ReadSeeker, *transcode.Options) (*transcode.Result, error) {
		return nil, blamed(transcode.ErrNoAudio)
	}
	for name, test := range map[string]struct {
		info *transcode.Info
		err  error
		want string
	}{
		"good":     {&transcode.Info{Brand: "isom"}, nil, ""},
		"refused":  {nil, blamed(transcode.ErrTruncated), ""},
		"io":       {nil, blamed(io.ErrClosedPipe), "io_error"},
		"duration": {&transcode.Info{Duration: -1}, nil, "below zero"},
		"track":    {&transcode.Info{Audio: []transcode.Track{{BitRate: -1}}}, nil, "below zero"},
		"long":     {&transcode.Info{Brand: strings.Repeat("x", 1<<20)}, nil, "of description"},
	} {
		r := Rules{Convert: convert, Probe: func(context.Context, io.ReadSeeker) (*transcode.Info, error) { return test.info, test.err }}
		_, finding := r.Try(t.Context(), mutant.Draw{Mutant: mutant.Mutant{Data: make([]byte, 100)}})
		if (finding == nil) != (test.want == "") || finding != nil && !strings.Contains(finding.Error(), test.want) {
			t.Errorf("%s: found %v, want %q", name, finding, test.want)
		}
	}
}

// TestRun: a run counts, tells of findings and goes on.
func TestRun(t *testing.T) {
	t.Parallel()
	files, err := mutant.Files(3000, "../../../testdata")
	if err != nil {
		t.Fatal(err)
	}
	n, found := 0, []int{}
	run := Run{
		Rules: Rules{Convert: func(context.Context, io.Writer, io.ReadSeeker, *transcode.Options) (*transcode.Result, error) {
			if n++; n%10 == 0 {
				return nil, blamed(io.ErrClosedPipe)
			}
			return nil, blamed(transcode.ErrInvalidData)
		}},
		Files: files, Seed: 1, From: 100, Count: 40,
		Found: func(d mutant.Draw, _ error) { found = append(found, d.Number) },
	}
	report, err := run.Do(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if report.Draws != 40 || report.Findings != 4 || report.Outcomes[transcode.CodeInvalidData] != 36 || len(found) != 4 || found[0] != 109 {
		t.Errorf("%v, found %v", report, found)
	}
	d, err := mutant.At(files, 1, found[0])
	if err != nil {
		t.Fatal(err)
	}
	if path, err := Keep(t.TempDir(), d, "note"); err != nil || !strings.HasSuffix(path, ".mp4") {
		t.Errorf("kept as %s: %v", path, err)
	}
}

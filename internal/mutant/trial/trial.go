// Package trial puts mutants through a converter and judges what comes of it: a result that
// agrees with its bytes, or an error that blames the source; in time, and of a size that the
// source justifies.
package trial

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/mutant"
	"github.com/mp3lathe/mp3lathe/transcode"
)

// A Converter is [transcode.Convert], or converts as it does in another place.
type Converter func(ctx context.Context, dst io.Writer, src io.ReadSeeker, o *transcode.Options) (*transcode.Result, error)

// A Prober is [transcode.Probe], or the like.
type Prober func(ctx context.Context, src io.ReadSeeker) (*transcode.Info, error)

// Rules say how mutants are tried, and what is demanded.
type Rules struct {
	// Convert is on trial.
	Convert Converter
	// Probe is tried as well, if it isn't nil.
	Probe Prober
	// CPU is what one call may take of the processors' time, that of child processes that
	// have ended included. 0 is 20 s.
	CPU time.Duration
	// Wall is the time after which a call is given up; that is a finding. 0 is a minute.
	Wall time.Duration
	// Memory is what the process may grow by during a call, in bytes. 0 does not measure.
	Memory int64
	// Accept, if it isn't nil, reports whether an error that does not blame the source is
	// right all the same.
	Accept func(error) bool
	// After, if it isn't nil, is called after each trial; its error is a finding.
	After func() error
}

// Limits are those of every trial: tight, so that a mutant that claims much is done soon.
var Limits = transcode.Limits{
	Duration: 20 * time.Second, OutputBytes: 2 << 20, Channels: 16, Tracks: 256, Allocation: 2 << 20,
}

// blames are the codes of errors that are the source's fault.
var blames = []transcode.Code{
	transcode.CodeNoAudio, transcode.CodeInvalidData, transcode.CodeTruncated,
	transcode.CodeUnsupported, transcode.CodeEncrypted, transcode.CodeLimit,
}

// Options returns those that the draw of a number is converted with: the defaults, what is
// there of a damaged file, cuts, other rates and channels, several encoders, any settings
// of LAME.
func Options(number int) *transcode.Options {
	r := rand.New(rand.NewPCG(0, uint64(number)))
	all := []transcode.Options{
		{},
		{AllowPartial: true},
		{AllowPartial: true, Parallelism: 2},
		{Start: 100 * time.Millisecond, Duration: time.Second},
		{Encoding: transcode.VBR(6), Channels: transcode.Mono, SampleRate: 22050, AllowPartial: true},
		{Encoding: transcode.CBR(128), Channels: transcode.Stereo, SampleRate: 48000, Parallelism: 1},
		{
			Encoding:   []transcode.Encoding{transcode.CBR(oneOf(r, transcode.Bitrates())), transcode.VBR(r.IntN(10)), transcode.ABR(8 + r.IntN(313))}[r.IntN(3)],
			SampleRate: oneOf(r, transcode.SampleRates()), Channels: transcode.Channels(r.IntN(3)), AllowPartial: true,
		},
	}
	o := all[r.IntN(len(all))]
	o.Limits = Limits
	return &o
}

func oneOf(r *rand.Rand, list []int) int { return list[r.IntN(len(list))] }

// Try tries one mutant. It returns the code of the outcome, "" for a conversion that
// succeeded, and what is wrong with it, nil if nothing is.
func (r Rules) Try(ctx context.Context, d mutant.Draw) (transcode.Code, error) {
	code, err := r.convert(ctx, d)
	if err == nil && r.Probe != nil {
		err = r.probe(ctx, d)
	}
	if err == nil && r.After != nil {
		err = r.After()
	}
	return code, err
}

func (r Rules) convert(ctx context.Context, d mutant.Draw) (code transcode.Code, finding error) {
	o := Options(d.Number)
	out := &sink{}
	var dst io.Writer = out
	if d.Number%2 == 0 {
		dst = struct{ io.Writer }{out} // one that can't seek
	}
	var result *transcode.Result
	src := &counted{Reader: bytes.NewReader(d.Data)}
	finding = r.watch(ctx, func(ctx context.Context) (err error) {
		result, err = r.Convert(ctx, dst, src, o)
		code = transcode.CodeOf(err)
		if err == nil {
			return nil
		}
		return r.blame(err, o)
	})
	if finding == nil {
		finding = src.tooMuch()
	}
	if size := int64(len(out.data)); finding == nil && size > o.Limits.OutputBytes {
		finding = fmt.Errorf("%d bytes were written, and at most %d are allowed", size, o.Limits.OutputBytes)
	}
	if finding == nil && code == "" {
		finding = agree(result, out.data, len(d.Data), o, d.Number%2 != 0)
	}
	return code, finding
}

func (r Rules) probe(ctx context.Context, d mutant.Draw) error {
	src := &counted{Reader: bytes.NewReader(d.Data)}
	finding := r.watch(ctx, func(ctx context.Context) error {
		info, err := r.Probe(ctx, src)
		if err != nil {
			return r.blame(err, &transcode.Options{})
		}
		if info.Duration < 0 || slices.ContainsFunc(info.Audio, func(t transcode.Track) bool { return t.Duration < 0 || t.BitRate < 0 || t.SampleRate < 0 }) {
			return fmt.Errorf("probed numbers below zero: %+v", info)
		}
		text, err := json.Marshal(info)
		if most := 8*len(d.Data) + 1<<16; err == nil && len(text) > most {
			return fmt.Errorf("%d bytes of description for %d bytes of source", len(text), len(d.Data))
		}
		return err
	})
	if finding == nil {
		finding = src.tooMuch()
	}
	return finding
}

// counted is a source that counts what is read of it.
type counted struct {
	*bytes.Reader
	read int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read += int64(n)
	return n, err
}

// tooMuch tells when a source was read again and again. Sound may be played more than once,
// and of each track the beginning is looked at.
func (c *counted) tooMuch() error {
	if most := 100*c.Size() + int64(Limits.Tracks)*64<<10; c.read > most {
		return fmt.Errorf("%d bytes were read of a source of %d", c.read, c.Size())
	}
	return nil
}

// blame returns nil for an error that is the source's fault.
func (r Rules) blame(err error, o *transcode.Options) error {
	var typed *transcode.Error
	switch code := transcode.CodeOf(err); {
	case r.Accept != nil && r.Accept(err):
		return nil
	case !errors.As(err, &typed):
		return fmt.Errorf("an error without a type: %w", err)
	case slices.Contains(blames, code), code == transcode.CodeOptions && o.Start > 0: // there is nothing so late
		return nil
	default:
		return fmt.Errorf("the code is %q: %w", code, err)
	}
}

// watch runs a call within its bounds.
func (r Rules) watch(ctx context.Context, call func(context.Context) error) (finding error) {
	most, wall := r.CPU, r.Wall
	if most == 0 {
		most = 20 * time.Second
	}
	if wall == 0 {
		wall = time.Minute
	}
	watched, cancel := context.WithTimeout(ctx, wall)
	defer cancel()
	memory := measureMemory(r.Memory)
	before := processorTime()
	defer func() {
		if p := recover(); p != nil {
			finding = fmt.Errorf("a panic: %v\n%s", p, debug.Stack())
		}
	}()
	err := call(watched)
	switch took := processorTime() - before; {
	case ctx.Err() != nil:
		return nil // who tries has had enough
	case watched.Err() != nil:
		return fmt.Errorf("it took more than %v: %w", wall, err)
	case took > most:
		return fmt.Errorf("it took %v of the processor, and may take %v", took, most)
	case err != nil:
		return err
	}
	return memory()
}

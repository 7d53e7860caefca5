package transcode

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/asticode/go-astiav"

	"github.com/mp3lathe/mp3lathe/transcode/internal/mp4"
)

// preroll is how much is decoded before a cut that does not begin at the start,
// so that a codec that builds each frame on the last ones has found its feet.
const preroll = 500 * time.Millisecond

// silenceBlock is how many samples of silence are made at a time.
const silenceBlock = 4096

// presentation is what a track presents: its edit list, or what else is known of
// priming and padding.
type presentation struct {
	segments []mp4.Segment
	ticks    int64 // length of the media; -1 if unknown
}

// present finds out what a track presents. first is the time of its first
// packet.
func present(t *mp4.Track, s *stream, gapless string, first int64) (presentation, error) {
	ticks, err := t.MediaTicks()
	if err != nil {
		return presentation{}, err
	}
	p := presentation{segments: t.Presentation(ticks), ticks: ticks}
	if len(p.segments) != 1 || p.segments[0].Silence {
		return p, nil
	}
	edit := &p.segments[0]
	if edit.Start.Ticks == 0 && edit.Length.Scale == 0 {
		// The edit list says nothing.
		if told, ok := parseGapless(gapless, t.Timescale, ticks); ok {
			*edit = told
		} else if s.codec == "opus" {
			edit.Start = mp4.Time{Ticks: opusPreSkip(s.params.ExtraData()), Scale: 48000}
		}
	}
	if first > 0 && edit.Start.At(int(t.Timescale)) < first {
		// A piece of a live stream: its clock began long before it.
		edit.Start = mp4.Time{Ticks: first, Scale: t.Timescale}
	}
	return p, nil
}

// opusPreSkip returns the samples at 48 kHz that are dropped at the start, from
// the codec's header (RFC 7845, 5.1).
func opusPreSkip(header []byte) int64 {
	if len(header) < 12 {
		return 0
	}
	return int64(binary.LittleEndian.Uint16(header[10:]))
}

// parseGapless reads what iTunes writes for gapless playback: hexadecimal words,
// of which the second is the priming, the third the padding and the fourth the
// length, all in samples.
func parseGapless(s string, timescale uint32, ticks int64) (mp4.Segment, bool) {
	var zero, priming, padding, length int64
	if n, err := fmt.Sscanf(s, "%x %x %x %x", &zero, &priming, &padding, &length); n != 4 || err != nil {
		return mp4.Segment{}, false
	}
	total := priming + padding + length
	if priming < 0 || padding < 0 || length <= 0 || priming > 1<<16 || padding > 1<<16 || total != ticks {
		return mp4.Segment{}, false // of another track, or nonsense
	}
	return mp4.Segment{
		Start:  mp4.Time{Ticks: priming, Scale: timescale},
		Length: mp4.Time{Ticks: length, Scale: timescale},
	}, true
}

// duration of the presentation, 0 if it is not known; what is beyond that type is as long
// as it gets.
func (p presentation) duration(timescale uint32) time.Duration {
	total := 0.0
	for _, s := range p.segments {
		switch {
		case s.Length.Scale != 0:
			total += s.Length.Seconds()
		case p.ticks >= 0:
			total += max(0, float64(p.ticks)/float64(timescale)-s.Start.Seconds())
		default:
			return 0
		}
	}
	if ns := total * float64(time.Second); ns < math.MaxInt64 { // which rounds up
		return time.Duration(ns)
	}
	return math.MaxInt64
}

// span is a stretch of the output: silence, or samples of the media's timeline
// from start on.
type span struct {
	silence bool
	start   int64
	length  int64 // math.MaxInt64 is "to the end"
}

// spans returns the presentation in samples of a rate, cut to [from, to) of its
// own timeline; to is math.MaxInt64 for its end. expected is the length in
// samples, -1 if it is not known.
func (p presentation) spans(rate int, timescale uint32, from, to int64) (out []span, expected int64) {
	at := int64(0) // where the segment begins on the presentation's timeline
	for _, s := range p.segments {
		length := int64(math.MaxInt64)
		if s.Length.Scale != 0 {
			length = s.Length.At(rate)
		} else if p.ticks >= 0 {
			length = max(0, mp4.Rescale(p.ticks, int64(rate), int64(timescale))-s.Start.At(rate))
		}
		open := s.Length.Scale == 0
		begin, end := max(at, from), to
		if length < math.MaxInt64-at {
			end = min(to, at+length)
		}
		if begin < end {
			part := span{silence: s.Silence, start: s.Start.At(rate) + begin - at, length: end - begin}
			if open && (length == math.MaxInt64 || end == at+length) && to >= end {
				// Up to the media's real end, which the decoder knows best.
				part.length = math.MaxInt64
				if to < math.MaxInt64 {
					part.length = to - begin
				}
			}
			out = append(out, part)
			if expected >= 0 && end < math.MaxInt64 {
				expected += end - begin
			} else {
				expected = -1
			}
		}
		if length >= math.MaxInt64-at {
			break // all time is used up
		}
		at += length
	}
	return out, expected
}

// presenter gives the samples that a presentation asks for, exactly, as frames of
// PCM.
type presenter struct {
	decoder *decoder
	spans   []span
	like    *astiav.Frame // for silence: a decoded frame's format
	held    *astiav.Frame // decoded, of which the next span may want a part
	heldAt  int64
	at      int64 // position of the next sample wanted, in the current span
	began   bool  // whether at is set for the current span
	limit   int64 // samples that may be presented
	given   int64 // presented so far, at the timeline's rate
	made    *astiav.Frame
}

// newPresenter takes over the first frame that the decoder has just read.
func newPresenter(d *decoder, first *astiav.Frame, at int64, spans []span, limit time.Duration) (*presenter, error) {
	p := &presenter{decoder: d, spans: spans, limit: math.MaxInt64}
	owners.Add(1)
	if seconds := int64(limit / time.Second); seconds < math.MaxInt64/2/int64(d.rate) {
		p.limit = mp4.Rescale(int64(limit), int64(d.rate), int64(time.Second))
	}
	var err error
	if p.like, err = newFrameLike(first, 1); err != nil {
		p.close()
		return nil, err
	}
	if p.held = astiav.AllocFrame(); p.held == nil {
		p.close()
		return nil, errNoMemory
	}
	p.hold(first, at)
	return p, nil
}

func (p *presenter) close() {
	owners.Add(-1)
	for _, f := range []*astiav.Frame{p.like, p.held, p.made} {
		if f != nil {
			f.Free()
		}
	}
}

// read returns the next frame, valid until the next call, or io.EOF.
func (p *presenter) read() (*astiav.Frame, error) {
	for len(p.spans) > 0 {
		s := &p.spans[0]
		if s.length <= 0 {
			p.spans, p.began = p.spans[1:], false
			continue
		}
		var (
			f   *astiav.Frame
			err error
		)
		if s.silence {
			f, err = p.silence(s.length)
		} else {
			f, err = p.media(s)
		}
		if err == io.EOF { // the media is shorter than its edit list
			s.length = 0
			continue
		}
		if err != nil {
			return nil, err
		}
		n := p.timeline(f)
		p.at += n
		if s.length != math.MaxInt64 {
			s.length -= n
		}
		if p.given += n; p.given > p.limit {
			return nil, &Error{Op: "decode", Err: ErrLimit, Detail: fmt.Sprintf("more than %v of audio", time.Duration(p.limit/int64(p.decoder.rate))*time.Second)}
		}
		return f, nil
	}
	return nil, io.EOF
}

// timeline returns a frame's length in samples of the timeline's rate.
func (p *presenter) timeline(f *astiav.Frame) int64 {
	n := int64(f.NbSamples())
	if r := f.SampleRate(); r != p.decoder.rate {
		n = mp4.Rescale(n, int64(p.decoder.rate), int64(r))
	}
	return n
}

func (p *presenter) silence(length int64) (*astiav.Frame, error) {
	if p.made != nil {
		p.made.Free()
		p.made = nil
	}
	if err := p.decoder.demux.src.ctx.Err(); err != nil {
		return nil, err
	}
	var err error
	p.made, err = newSilence(p.like, int(min(length, silenceBlock)))
	return p.made, err
}

// media returns the next frame of a span of the media.
func (p *presenter) media(s *span) (*astiav.Frame, error) {
	d := p.decoder
	if !p.began {
		p.began, p.at = true, s.start
		if err := p.jump(s.start); err != nil {
			return nil, err
		}
	}
	for {
		if p.held.NbSamples() == 0 {
			f, at, err := d.read()
			if err != nil {
				return nil, err
			}
			p.hold(f, at)
		}
		n := p.timeline(p.held)
		if p.heldAt+n <= p.at {
			p.drop()
			continue
		}
		if gap := p.heldAt - p.at; gap > 0 {
			// Something before this frame was lost: its time passes in silence.
			return p.silence(min(gap, s.length))
		}
		return p.take(s)
	}
}

// jump makes the decoder go on in time for a position. The first span needs none:
// the decoder was started there.
func (p *presenter) jump(to int64) error {
	d := p.decoder
	now := d.next
	if p.held.NbSamples() > 0 {
		now = p.heldAt
	}
	far := 2 * int64(preroll.Seconds()*float64(d.rate))
	if p.given == 0 || now <= to && to-now <= far {
		return nil
	}
	p.drop()
	return d.restart(mp4.Rescale(to, int64(d.track.Timescale), int64(d.rate)) - prerollTicks(d.track))
}

// hold keeps a decoded frame.
func (p *presenter) hold(f *astiav.Frame, at int64) {
	p.held.Unref()
	p.held.MoveRef(f)
	p.heldAt = at
}

func (p *presenter) drop() { p.held.Unref() }

// take returns the part of the held frame that the span wants.
func (p *presenter) take(s *span) (*astiav.Frame, error) {
	n := p.timeline(p.held)
	from := p.at - p.heldAt
	length := min(n-from, s.length)
	whole := from+length == n
	if from == 0 && whole {
		return p.give()
	}
	// In samples of the frame's own rate, which is the timeline's but for codecs
	// that change it on the way.
	rate, own := int64(p.decoder.rate), int64(p.held.SampleRate())
	cut := func(v int64) int { return int(mp4.Rescale(v, own, rate)) }
	if whole {
		cutFrame(p.held, cut(from), p.held.NbSamples()-cut(from))
		return p.give()
	}
	// The next span may want the rest.
	if p.made != nil {
		p.made.Free()
	}
	if p.made = p.held.Clone(); p.made == nil {
		return nil, errNoMemory
	}
	cutFrame(p.made, cut(from), cut(from+length)-cut(from))
	cutFrame(p.held, cut(from+length), p.held.NbSamples()-cut(from+length))
	p.heldAt += from + length
	return p.made, nil
}

// give hands out the held frame.
func (p *presenter) give() (*astiav.Frame, error) {
	if p.made == nil {
		if p.made = astiav.AllocFrame(); p.made == nil {
			return nil, errNoMemory
		}
	}
	p.made.Unref()
	p.made.MoveRef(p.held)
	return p.made, nil
}

func prerollTicks(t *mp4.Track) int64 {
	return int64(preroll.Seconds() * float64(t.Timescale))
}

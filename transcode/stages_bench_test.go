package transcode

import (
	"bytes"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asticode/go-astiav"

	"github.com/mp3lathe/mp3lathe/transcode/internal/mp3"
)

// stages has what each stage of a conversion takes and gives, so that each can be
// run alone, on the same sound.
type stages struct {
	source  []byte
	options Options

	c       *conversion
	packets []packet
	frames  []*astiav.Frame // presented
	target  target
	config  encoderConfig
	blocks  []*astiav.Frame
	mp3     [][]byte
}

// newStages takes a conversion apart. It ends with the benchmark.
func newStages(b testing.TB, source []byte, o Options) *stages {
	b.Helper()
	s := &stages{source: source, options: o}
	src, err := newSource(b.Context(), bytes.NewReader(source))
	s.must(b, err)
	s.c = &conversion{opts: o, limits: o.Limits.withDefaults(), src: src, dst: io.Discard}
	b.Cleanup(s.close)
	s.must(b, s.c.open())

	s.must(b, s.demux(func(p packet) { p.data = slices.Clone(p.data); s.packets = append(s.packets, p) }))
	s.must(b, s.c.decoder.restart(0))
	p := s.present(b, s.c)
	defer p.close()
	d := s.c.decoder
	rate, channels := o.outputRate(d.rate), o.outputChannels(channelsOf(p.held))
	s.target = target{rate: rate, channels: channels, block: blockSize(rate)}
	for {
		f, err := p.read()
		if err == io.EOF {
			break
		}
		s.must(b, err)
		s.frames = append(s.frames, f.Clone())
	}
	s.must(b, s.resample(func(r *resampler, block *astiav.Frame) *astiav.Frame {
		s.config = encoderConfig{encoding: o.Encoding.at(rate), rate: rate, channels: channels, format: r.format}
		s.blocks = append(s.blocks, block)
		another, err := r.block()
		s.must(b, err)
		return another
	}))
	s.must(b, s.encode(func(data []byte) error { s.mp3 = append(s.mp3, slices.Clone(data)); return nil }))
	return s
}

// present starts the presentation of a conversion that is open.
func (s *stages) present(b testing.TB, c *conversion) *presenter {
	first, at, err := c.firstFrame()
	s.must(b, err)
	d := c.decoder
	from, to := c.cut(int64(d.rate))
	spans, _ := c.shown.spans(d.rate, c.track.Timescale, from, to)
	p, err := newPresenter(d, first, at, spans, c.limits.Duration)
	s.must(b, err)
	return p
}

func (s *stages) close() {
	for _, f := range slices.Concat(s.frames, s.blocks) {
		f.Free()
	}
	s.c.close()
}

func (s *stages) must(b testing.TB, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// convert converts the source with one encoder, stage by stage as [Convert] does, and
// adds to read and lame the time that passes until frames have been decoded, and in
// LAME, as clock tells it.
func (s *stages) convert(b testing.TB, clock func() time.Duration, read, lame *time.Duration) {
	src, err := newSource(b.Context(), bytes.NewReader(s.source))
	s.must(b, err)
	c := &conversion{opts: s.options, limits: s.c.limits, src: src, dst: new(nowhere)}
	defer c.close()
	s.must(b, c.open())
	c.settings = Settings{Encoding: s.config.encoding, SampleRate: s.target.rate, Channels: s.target.channels}
	before := clock()
	p := s.present(b, c)
	*read += clock() - before
	defer p.close()
	r, err := newResampler(p.held, s.target)
	s.must(b, err)
	defer r.close()
	l, err := newLAME(s.config, batchBlocks)
	s.must(b, err)
	defer l.close()
	s.must(b, c.newMuxer(c.infoHeader(c.settings), promise{}))
	enc := &timedLAME{lame: l, clock: clock, used: lame, emit: c.frame}
	blocks, err := newBatch(r, enc)
	s.must(b, err)
	defer blocks.free()
	for {
		before := clock()
		f, err := p.read()
		*read += clock() - before
		if err == io.EOF {
			break
		}
		s.must(b, err)
		s.must(b, r.write(f))
		s.must(b, c.encode(blocks, r, false))
	}
	s.must(b, r.finish())
	s.must(b, c.encode(blocks, r, true))
	s.must(b, enc.finish())
	s.must(b, c.finish(0))
	if c.mux.frames != int64(len(s.mp3)) {
		b.Fatalf("%d frames came out, want %d", c.mux.frames, len(s.mp3))
	}
}

// timedLAME is an [encoder] that tells how long LAME takes.
type timedLAME struct {
	lame  *lame
	clock func() time.Duration
	used  *time.Duration
	emit  func([]byte) error
	stop  atomic.Int32
}

func (t *timedLAME) encode(blocks []*astiav.Frame) error {
	if len(blocks) == 0 {
		return nil
	}
	return t.run(blocks)
}

func (t *timedLAME) finish() error { return t.run(nil) }

func (t *timedLAME) close() {}

func (t *timedLAME) run(blocks []*astiav.Frame) error {
	before := t.clock()
	_, err := t.lame.encode(blocks, &t.stop, &t.stop)
	*t.used += t.clock() - before
	if err != nil {
		return err
	}
	return t.lame.packets(t.emit)
}

// nowhere takes everything, anywhere.
type nowhere struct{ at int64 }

func (n *nowhere) Write(p []byte) (int, error) { n.at += int64(len(p)); return len(p), nil }

func (n *nowhere) Seek(off int64, whence int) (int64, error) {
	if whence == io.SeekStart {
		n.at = off
	}
	return n.at, nil
}

// demux reads the packets.
func (s *stages) demux(take func(packet)) error {
	d := s.c.decoder.demux
	d.samples = nil // what earlier rounds have walked does not count
	if err := d.rewind(); err != nil {
		return err
	}
	for {
		p, err := d.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		take(p)
	}
}

// decode makes PCM of the packets, with as little around libav as can be.
func (s *stages) decode() error {
	d := s.c.decoder
	if err := d.open(); err != nil {
		return err
	}
	for _, d.fed = range s.packets {
		if err := d.send(d.fed.data); err != nil {
			return err
		}
		for d.context.ReceiveFrame(d.frame) == nil {
		}
	}
	return nil
}

// resample makes blocks of the frames. take gets each and returns the one to fill
// next; nil fills the same again.
func (s *stages) resample(take func(*resampler, *astiav.Frame) *astiav.Frame) error {
	r, err := newResampler(s.frames[0], s.target)
	if err != nil {
		return err
	}
	defer r.close()
	block, err := r.block()
	if err != nil {
		return err
	}
	defer func() { block.Free() }()
	read := func(finished bool) error {
		for {
			ok, err := r.read(block, finished)
			if err != nil || !ok {
				return err
			}
			if take != nil {
				block = take(r, block)
			}
		}
	}
	for _, f := range s.frames {
		if err := r.write(f); err != nil {
			return err
		}
		if err := read(false); err != nil {
			return err
		}
	}
	if err := r.finish(); err != nil {
		return err
	}
	return read(true)
}

// encode makes MP3 of the blocks with one LAME.
func (s *stages) encode(take func([]byte) error) error {
	e, err := newSerialEncoder(s.c.src.ctx, s.config, processors, take)
	if err != nil {
		return err
	}
	defer e.close()
	for blocks := range slices.Chunk(s.blocks, batchBlocks) {
		if err := e.encode(blocks); err != nil {
			return err
		}
	}
	return e.finish()
}

// lay takes the MP3 frames apart and lays them again, as where chunks are spliced.
func (s *stages) lay() error {
	var u mp3.Unpacker
	p := mp3.NewPacker(func([]byte) error { return nil })
	for i, data := range s.mp3 {
		if err := u.Add(data); err != nil {
			return err
		}
		if err := p.Add(u.Frame(int64(i)), u.Main(int64(i))); err != nil {
			return err
		}
		if i%256 == 255 {
			u.Drop(int64(i) - 2)
		}
	}
	return p.Flush()
}

// mux writes the file.
func (s *stages) mux() error {
	c := &conversion{opts: s.options, limits: s.c.limits, src: s.c.src, dst: new(nowhere), file: s.c.file, decoder: s.c.decoder}
	c.settings = Settings{Encoding: s.config.encoding, SampleRate: s.target.rate, Channels: s.target.channels}
	if err := c.newMuxer(c.infoHeader(c.settings), promise{}); err != nil {
		return err
	}
	for _, data := range s.mp3 {
		if err := c.frame(data); err != nil {
			return err
		}
	}
	return c.finish(0)
}

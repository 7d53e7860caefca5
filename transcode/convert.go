package transcode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"time"

	"github.com/asticode/go-astiav"

	"github.com/mp3lathe/mp3lathe/transcode/internal/mp3"
	"github.com/mp3lathe/mp3lathe/transcode/internal/mp4"
)

// Convert reads a file of the MP4 family from src and writes its audio as an MP3
// file to dst. nil options are the defaults.
//
// It reads the index of src and the audio of one track, nothing else: at most 128
// KiB more, for windows over the index that are read twice. It reads in pieces of
// up to 256 KiB and needs memory for a few of those, whatever the size of the
// file; and for a chunk of sound for each encoder but one, see Options.Parallelism.
// src is used from its start and left anywhere. Only one goroutine uses src
// and dst, the caller's, and none of them is used after Convert returns.
//
// dst gains when it is also an [io.WriteSeeker], such as an [os.File]: then the
// header frame (Xing or Info) is completed at the end with the exact count of
// frames and bytes, a table for seeking and a checksum. Else it holds what the
// source's index promises, without the table. (A file opened with os.O_APPEND does
// not count as one that seeks: hide its Seek.)
//
// Convert looks at ctx before each read and each packet. Every error is an
// [*Error]; what has been written to dst by then is not a whole file. [ConvertFile]
// does not leave one behind.
func Convert(ctx context.Context, dst io.Writer, src io.ReadSeeker, opts *Options) (*Result, error) {
	began := time.Now()
	var o Options
	if opts != nil {
		o = *opts
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s, err := newSource(ctx, src)
	if err != nil {
		return nil, fail("open", err)
	}
	c := &conversion{opts: o, limits: o.Limits.withDefaults(), src: s, dst: dst, began: began}
	defer c.close()
	if err := c.open(); err != nil {
		return nil, fail("open", err)
	}
	if err := c.run(); err != nil {
		return nil, fail("decode", err)
	}
	return c.result(), nil
}

// conversion is one call of [Convert].
type conversion struct {
	opts   Options
	limits Limits
	src    *source
	dst    io.Writer
	began  time.Time

	file    *mp4.File
	number  int // of the track among the audio tracks, from 1
	track   *mp4.Track
	tags    Tags
	decoder *decoder
	shown   presentation
	mux     *muxer

	parallel *parallelEncoder // nil if there is one LAME

	settings Settings
	samples  int64 // of the MP3
	expected int64 // -1 if not known
	partial  error
	reported time.Time // when progress was last told

	decoding time.Duration
	flushing time.Duration // blocks into the encoder, and what comes of them
	share    *share        // of the encoders; nil if there is none
}

func (c *conversion) close() {
	if c.decoder != nil {
		c.decoder.close()
	}
}

// open finds the track and what it presents.
func (c *conversion) open() error {
	var err error
	if c.file, err = openFile(c.src, c.limits); err != nil {
		return err
	}
	if c.number, c.track, err = selectTrack(c.file, &c.opts); err != nil {
		return err
	}
	if err := checkTrack(c.file, c.number, c.track); err != nil {
		return err
	}
	if c.decoder, err = newDecoder(c.src, c.file, c.track, c.limits); err != nil {
		return err
	}
	if c.decoder.stream.decoder == nil {
		return &Error{Op: "open", Err: ErrUnsupported, Codec: c.decoder.stream.codec, Detail: otherTrack(c.file, c.number)}
	}
	if !c.opts.AllowPartial {
		// A cheap look at the index saves decoding a file that is cut off.
		end, err := c.track.TableEnd()
		if err != nil {
			return err
		}
		if end >= c.src.size {
			return &Error{Op: "open", Err: ErrTruncated, Detail: fmt.Sprintf("its index points to byte %d, it has %d", end, c.src.size)}
		}
	}
	c.tags = readTags(c.file)
	first, err := c.decoder.demux.start()
	if err == io.EOF {
		return &Error{Op: "open", Err: ErrNoAudio, Detail: "the audio track is empty"}
	}
	if err != nil {
		return err
	}
	c.shown, err = present(c.track, c.decoder.stream, c.file.Gapless, first)
	return err
}

func openFile(s *source, limits Limits) (*mp4.File, error) {
	return mp4.Open(s, s.size, mp4.Limits{Tracks: limits.Tracks, Allocation: limits.Allocation})
}

// run converts, by copying where that is enough.
func (c *conversion) run() error {
	if c.decoder.stream.codec == "mp3" && !c.opts.changesAudio() {
		switch err := c.copyFrames(); {
		case err == nil:
			return c.judge()
		case !errors.Is(err, errNoCopy):
			return err
		}
		if err := c.decoder.restart(0); err != nil {
			return err
		}
	}
	if err := c.transcode(); err != nil {
		return err
	}
	return c.judge()
}

// transcode decodes and encodes.
func (c *conversion) transcode() error {
	d := c.decoder
	first, at, err := c.firstFrame()
	if err != nil {
		return err
	}
	from, to := c.cut(int64(d.rate))
	spans, expected := c.shown.spans(d.rate, c.track.Timescale, from, to)
	c.expected = expected
	p, err := newPresenter(d, first, at, spans, c.limits.Duration)
	if err != nil {
		return err
	}
	defer p.close()

	rate := c.opts.outputRate(d.rate)
	channels := c.opts.outputChannels(channelsOf(p.held))
	c.settings = Settings{Encoding: c.opts.Encoding.at(rate), SampleRate: rate, Channels: channels}
	if expected >= 0 {
		c.expected = mp4.Rescale(expected, int64(rate), int64(d.rate))
	}
	r, err := newResampler(p.held, target{rate: rate, channels: channels, block: blockSize(rate)})
	if err != nil {
		return err
	}
	defer r.close()
	enc, err := c.newEncoder(r)
	if err != nil {
		return &Error{Op: "encode", Err: err}
	}
	defer enc.close()
	if err := c.newMuxer(c.infoHeader(c.settings), c.promise()); err != nil {
		return err
	}
	if err := c.pump(p, r, enc); err != nil {
		return err
	}
	c.samples = r.taken
	if c.samples == 0 {
		return c.nothing()
	}
	return c.finish(mp3.Padding(c.samples, c.mux.frames, blockSize(rate), lameDelay))
}

// newEncoder returns the encoder that the options and the length ask for.
func (c *conversion) newEncoder(r *resampler) (encoder, error) {
	v := encoderConfig{encoding: c.settings.Encoding, rate: r.to.rate, channels: r.to.channels, format: r.format}
	frames := int64(-1)
	if c.expected >= 0 {
		frames = lameFrames(c.expected, r.to.block)
	}
	p, most := planFor(frames, v), c.opts.Parallelism
	// Where there is a processor for one encoder only, a short file is done before
	// that changes, and a single encoder has less to look after.
	busy := processors.free() < 2 && (p.short() || runtime.GOMAXPROCS(0) == 1)
	if p.serial() || most == 1 || most == 0 && busy {
		e, err := newSerialEncoder(c.src.ctx, v, processors, c.frame)
		if err != nil {
			return nil, err
		}
		c.share = e.share
		return e, nil
	}
	c.parallel = newParallelEncoder(c.src.ctx, v, p, processors, most, r.block, c.frame)
	c.share = c.parallel.share
	return c.parallel, nil
}

// cut returns the cut that the options ask for in samples of a rate.
func (c *conversion) cut(rate int64) (from, to int64) {
	at := func(t time.Duration) int64 { return mp4.Rescale(int64(t), rate, int64(time.Second)) }
	from, to = at(c.opts.Start), math.MaxInt64
	if c.opts.End > 0 {
		to = at(c.opts.End)
	}
	if c.opts.Duration > 0 {
		to = at(c.opts.Start + min(c.opts.Duration, math.MaxInt64-c.opts.Start))
	}
	return from, to
}

// firstFrame starts the decoder where the cut begins and returns its first frame.
func (c *conversion) firstFrame() (*astiav.Frame, int64, error) {
	d := c.decoder
	// In ticks: the sample rate is known for sure only after the first frame.
	from, to := c.cut(int64(c.track.Timescale))
	spans, _ := c.shown.spans(int(c.track.Timescale), c.track.Timescale, from, to)
	media := int64(-1)
	for _, s := range spans {
		if !s.silence {
			media = s.start
			break
		}
	}
	if media < 0 {
		return nil, 0, c.nothing()
	}
	if back := media - prerollTicks(c.track); back > 0 {
		if err := d.restart(back); err != nil {
			return nil, 0, err
		}
	}
	f, at, err := d.read()
	if err == io.EOF {
		return nil, 0, c.nothing()
	}
	return f, at, err
}

// nothing returns why there is no audio at all.
func (c *conversion) nothing() error {
	d := c.decoder
	switch {
	case d.errors > 0:
		return &Error{Op: "decode", Err: ErrInvalidData, Detail: fmt.Sprintf("none of %d %s frames could be decoded", d.packets, d.stream.codec)}
	case c.opts.Start > 0:
		return &Error{Op: "options", Err: ErrOptions, Detail: fmt.Sprintf("start %v is not before the end of the audio (%v)", c.opts.Start, c.shown.duration(c.track.Timescale).Round(time.Millisecond))}
	}
	return &Error{Op: "decode", Err: ErrNoAudio, Detail: "the track presents no audio"}
}

// pump drives the stages: presented frames to blocks to MP3 frames.
func (c *conversion) pump(p *presenter, r *resampler, enc encoder) error {
	b, err := newBatch(r, enc)
	if err != nil {
		return err
	}
	defer b.free()
	began, read := time.Now(), c.src.took
	for {
		f, err := p.read()
		if err == io.EOF {
			break
		}
		if err != nil && c.acceptable(err) {
			c.partial = fail("decode", err)
			break
		}
		if err != nil {
			return err
		}
		if err := r.write(f); err != nil {
			return err
		}
		if err := c.encode(b, r, false); err != nil {
			return err
		}
	}
	if err := r.finish(); err != nil {
		return err
	}
	if err := c.encode(b, r, true); err != nil {
		return err
	}
	c.decoding = time.Since(began) - (c.src.took - read) - c.flushing
	return fail("encode", enc.finish())
}

// encode hands on the blocks that are ready, and at the end all.
func (c *conversion) encode(b *batch, r *resampler, finished bool) error {
	for {
		ok, err := b.fill(r, finished)
		if err != nil {
			return err
		}
		if !ok && !finished {
			return nil
		}
		if err := c.src.ctx.Err(); err != nil {
			return err
		}
		began := time.Now()
		if err := fail("encode", b.flush()); err != nil {
			return err
		}
		// The encoder may be behind.
		c.tell(min(r.taken, c.mux.frames*int64(r.to.block)), false)
		c.flushing += time.Since(began)
		if !ok {
			return nil
		}
	}
}

// acceptable reports whether the options put up with an error of the source.
func (c *conversion) acceptable(err error) bool {
	if !c.opts.AllowPartial {
		return false
	}
	err = fail("read", err)
	return errors.Is(err, ErrTruncated) || errors.Is(err, ErrInvalidData)
}

// maxLost is the share of a track's packets that may be undecodable, as 1/maxLost.
// Players get over a few bad packets; with more of them a file is damaged, or
// something else than it says.
const maxLost = 4

// judge refuses a result that is too much silence.
func (c *conversion) judge() error {
	d := c.decoder
	if d.errors*maxLost <= d.packets {
		return nil
	}
	err := &Error{Op: "decode", Err: ErrInvalidData, Detail: fmt.Sprintf("%d of %d %s frames could not be decoded", d.errors, d.packets, d.stream.codec)}
	if c.opts.AllowPartial {
		if c.partial == nil {
			c.partial = err
		}
		return nil
	}
	return err
}

// infoHeader returns what is known of the header frame before encoding.
func (c *conversion) infoHeader(s Settings) mp3.InfoHeader {
	version, _ := mp3.VersionOf(s.SampleRate)
	info := mp3.InfoHeader{
		Frame:   mp3.Header{Version: version, Layer: 3, SampleRate: s.SampleRate, Mode: mp3.JointStereo, Original: true},
		Quality: -1, Gapless: true, Encoder: "LAME" + lameVersion(), Delay: lameDelay, SourceRate: c.decoder.rate,
	}
	if s.Channels == 1 {
		info.Frame.Mode = mp3.Mono
	}
	switch s.Encoding.mode {
	case modeCBR:
		info.Method, info.Bitrate = mp3.CBR, s.Encoding.value
	case modeABR:
		info.Method, info.Bitrate = mp3.ABR, s.Encoding.value
	default:
		info.Method = mp3.VBR
		info.Quality = 100 - 10*s.Encoding.value
	}
	info.Frame.Bitrate = info.Bitrate
	return info
}

// promise returns what the expected length makes of the header frame.
func (c *conversion) promise() promise {
	if c.expected <= 0 {
		return promise{}
	}
	spf := blockSize(c.settings.SampleRate)
	frames := lameFrames(c.expected, spf)
	return promise{frames: frames, padding: mp3.Padding(c.expected, frames, spf, lameDelay)}
}

// newMuxer starts the file.
func (c *conversion) newMuxer(info mp3.InfoHeader, p promise) error {
	length := time.Duration(0)
	if c.expected > 0 {
		length = sampleTime(c.expected, c.settings.SampleRate)
	}
	var chapters []Chapter
	var err error
	if !c.opts.NoTags {
		if chapters, err = chaptersOf(c.file); err != nil {
			return err
		}
	}
	tag, err := id3Tag(c.file, c.tags, c.decoder.stream.language, cutChapters(chapters, c.opts.Start, length), &c.opts, c.limits)
	if err != nil {
		return err
	}
	c.mux, err = newMuxer(c.dst, c.limits.OutputBytes, tag, info, p)
	return fail("write", err)
}

// frame takes an MP3 frame from the encoder.
func (c *conversion) frame(data []byte) error { return fail("write", c.mux.frame(data)) }

// finish completes the file.
func (c *conversion) finish(padding int) error {
	if err := c.src.ctx.Err(); err != nil {
		return err
	}
	if err := c.mux.finish(padding); err != nil {
		return fail("write", err)
	}
	c.tell(c.samples, true)
	return nil
}

// tell calls the caller's progress function, not too often.
func (c *conversion) tell(samples int64, done bool) {
	if c.opts.Progress == nil {
		return
	}
	now := time.Now()
	if !done && now.Sub(c.reported) < 100*time.Millisecond {
		return
	}
	c.reported = now
	p := Progress{
		Position:     sampleTime(samples, c.settings.SampleRate),
		BytesWritten: c.mux.out.written,
		Done:         done,
	}
	if c.expected > 0 {
		p.Total = sampleTime(c.expected, c.settings.SampleRate)
	}
	if wall := now.Sub(c.began); wall > 0 {
		p.Speed = p.Position.Seconds() / wall.Seconds()
	}
	c.opts.Progress(p)
}

// sampleTime returns the duration of samples at a rate in Hz.
func sampleTime(samples int64, rate int) time.Duration {
	return time.Duration(mp4.Rescale(samples, int64(time.Second), int64(rate)))
}

func (c *conversion) result() *Result {
	d := c.decoder
	r := &Result{
		Track:         c.describeTrack(),
		Settings:      c.settings,
		Samples:       c.samples,
		Duration:      sampleTime(c.samples, c.settings.SampleRate),
		Frames:        c.mux.frames,
		BytesRead:     c.src.read,
		BytesWritten:  c.mux.out.written,
		WallTime:      time.Since(c.began),
		DecodeErrors:  d.errors,
		Partial:       c.partial != nil,
		PartialReason: c.partial,
		Chunks:        1,
		Stages: StageTimes{
			Read: c.src.took, Decode: max(c.decoding, 0), Write: c.mux.out.took,
		},
	}
	if c.share != nil {
		r.Stages.Encode = c.share.took()
	}
	if p := c.parallel; p != nil {
		r.Chunks, r.Unspliced = p.spliced+1, p.unspliced
	}
	return r
}

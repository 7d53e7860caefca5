package transcode

/*
#cgo pkg-config: libavcodec libavutil
#include <string.h>
#include <libavcodec/avcodec.h>

// mp3lathe_encode sends frames to an encoder, or its end if there are none, and
// collects the packets that come out, one after the other, in buf. sizes gets the
// size of each. It returns how many there are, or a libav error; AVERROR_EXIT when
// stop is set, at which it looks before each frame. When hurry is set it comes back
// after the first few. used gets the number of frames sent.
static int mp3lathe_encode(AVCodecContext *c, AVFrame **frames, int n,
		uint8_t *buf, int room, int *sizes, int most, const int *stop, const int *hurry, int *used) {
	const int few = 16;
	AVPacket *packet = av_packet_alloc();
	int count = 0, i = 0, err = packet ? 0 : AVERROR(ENOMEM);
	while (err >= 0) {
		if (__atomic_load_n(stop, __ATOMIC_RELAXED)) {
			err = AVERROR_EXIT;
			break;
		}
		if (i >= few && __atomic_load_n(hurry, __ATOMIC_RELAXED))
			break;
		if ((err = avcodec_send_frame(c, n ? frames[i] : NULL)) < 0)
			break;
		while ((err = avcodec_receive_packet(c, packet)) >= 0) {
			if (count == most || packet->size > room) {
				err = AVERROR_BUFFER_TOO_SMALL;
				break;
			}
			memcpy(buf, packet->data, packet->size);
			buf += packet->size;
			room -= packet->size;
			sizes[count++] = packet->size;
			av_packet_unref(packet);
		}
		if (err == AVERROR(EAGAIN) || err == AVERROR_EOF)
			err = 0;
		if (++i >= n)
			break;
	}
	av_packet_free(&packet);
	*used = i;
	return err < 0 ? err : count;
}
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/asticode/go-astiav"

	"github.com/mp3lathe/mp3lathe/transcode/internal/mp3"
)

// encoder is the stage that turns blocks of PCM into MP3 frames, in order. A
// block holds the samples of one MP3 frame; only the last may be shorter.
type encoder interface {
	// encode takes at most batchBlocks blocks. It may keep them and put others, to
	// be written to, in their place.
	encode(blocks []*astiav.Frame) error
	// finish gives out the frames that are still held back.
	finish() error
	close()
}

// batchBlocks is how many blocks are encoded in one call into C by an encoder that
// works alone. A frame takes LAME some hundred microseconds, and a call that long
// for each keeps the Go scheduler busy with handing the processor back and forth;
// see also batch.flush. A call for this many ends within a few milliseconds, in
// which a cancellation waits.
const batchBlocks = 16

// maxMP3Frame is the size of the largest frame: 320 kb/s at 32 kHz, with padding.
const maxMP3Frame = 1441

// heldBack is how many frames LAME may hold back at most. It gives out a frame when
// the reservoir has moved on from it: 255 bytes, and in stereo at 24 kHz and 8 kb/s,
// which is what VBR makes of silence, a slot has 3.
const heldBack = 96

// lameDelay is the encoder's own delay in samples, as LAME's header counts it:
// without the 529 samples that every decoder adds.
const lameDelay = 576

// encoderConfig is what all LAMEs of a stream have in common.
type encoderConfig struct {
	encoding Encoding
	rate     int // Hz
	channels int
	format   astiav.SampleFormat // of the blocks: S16P, S32P or FLTP
}

// lame is one LAME.
type lame struct {
	context *astiav.CodecContext
	frames  []*C.AVFrame
	buf     []byte
	sizes   []C.int
	count   int // of the packets in buf
	used    C.int
}

// newLAME opens a LAME that is given at most batch blocks at a time.
func newLAME(v encoderConfig, batch int) (*lame, error) {
	codec := astiav.FindEncoderByName("libmp3lame")
	if codec == nil {
		return nil, errors.New("this build of libav has no libmp3lame")
	}
	// More than the blocks of a batch may come out; what was held back is small.
	l := &lame{
		context: astiav.AllocCodecContext(codec),
		buf:     make([]byte, (batch+8)*maxMP3Frame), sizes: make([]C.int, batch+heldBack),
	}
	owners.Add(1)
	if l.context == nil {
		l.close()
		return nil, errNoMemory
	}
	c := l.context
	c.SetSampleFormat(v.format)
	c.SetSampleRate(v.rate)
	c.SetChannelLayout(target{channels: v.channels}.layout())
	c.SetTimeBase(astiav.NewRational(1, v.rate))
	options := astiav.NewDictionary()
	defer options.Free()
	var err error
	switch e := v.encoding; e.mode {
	case modeCBR:
		c.SetBitRate(int64(e.value) * 1000)
	case modeABR:
		c.SetBitRate(int64(e.value) * 1000)
		err = options.Set("abr", "1", 0)
	case modeVBR:
		const qp2lambda = 118 // FF_QP2LAMBDA, libavutil/avutil.h
		c.SetFlags(astiav.NewCodecContextFlags(astiav.CodecContextFlagQscale))
		err = options.Set("global_quality", fmt.Sprint(e.value*qp2lambda), 0)
	}
	if err == nil {
		err = c.Open(codec, options)
	}
	if err != nil {
		l.close()
		return nil, fmt.Errorf("LAME does not take %v at %d Hz: %w", v.encoding, v.rate, err)
	}
	return l, nil
}

// encode encodes blocks, or the end if there are none. It gives up soon after stop
// becomes 1. While hurry is 1 it encodes no more than the first few, and returns how
// many.
func (l *lame) encode(blocks []*astiav.Frame, stop, hurry *atomic.Int32) (int, error) {
	l.frames = l.frames[:0]
	for _, b := range blocks {
		l.frames = append(l.frames, av(b))
	}
	n := len(l.frames)
	if n == 0 {
		l.frames = append(l.frames, nil)
	}
	l.count = int(C.mp3lathe_encode(
		(*C.AVCodecContext)(l.context.UnsafePointer()), &l.frames[0], C.int(n),
		(*C.uint8_t)(unsafe.Pointer(&l.buf[0])), C.int(len(l.buf)), &l.sizes[0], C.int(len(l.sizes)),
		(*C.int)(unsafe.Pointer(stop)), (*C.int)(unsafe.Pointer(hurry)), &l.used))
	if l.count < 0 {
		return 0, fmt.Errorf("LAME: %w", astiav.Error(l.count))
	}
	return min(int(l.used), len(blocks)), nil
}

// packets hands over what the last encode made, valid until the next.
func (l *lame) packets(take func([]byte) error) error {
	at := 0
	for _, size := range l.sizes[:l.count] {
		if err := take(l.buf[at:][:size]); err != nil {
			return err
		}
		at += int(size)
	}
	return nil
}

func (l *lame) close() {
	owners.Add(-1)
	if l.context != nil {
		l.context.Free()
	}
}

// serialEncoder encodes a stream with one LAME.
type serialEncoder struct {
	ctx   context.Context
	lame  *lame
	share *share
	emit  func([]byte) error // takes each MP3 frame
	never atomic.Int32       // stays 0: the calls are short
}

func newSerialEncoder(ctx context.Context, v encoderConfig, p *pool, emit func([]byte) error) (*serialEncoder, error) {
	l, err := newLAME(v, batchBlocks)
	if err != nil {
		return nil, err
	}
	p.join(true)
	return &serialEncoder{ctx: ctx, lame: l, share: &share{pool: p}, emit: emit}, nil
}

func (s *serialEncoder) encode(blocks []*astiav.Frame) error {
	if len(blocks) == 0 {
		return nil
	}
	return s.run(blocks)
}

func (s *serialEncoder) finish() error { return s.run(nil) }

func (s *serialEncoder) run(blocks []*astiav.Frame) error {
	if err := s.share.enter(s.ctx); err != nil {
		return err
	}
	_, err := s.lame.encode(blocks, &s.never, &s.never)
	s.share.leave()
	if err != nil {
		return err
	}
	return s.lame.packets(s.emit)
}

func (s *serialEncoder) close() {
	s.share.pool.quit()
	s.lame.close()
}

// blockSize returns the samples of an MP3 frame at a sample rate in Hz, per
// channel (ISO/IEC 11172-3 and 13818-3).
func blockSize(rate int) int {
	if v, _ := mp3.VersionOf(rate); v == mp3.MPEG1 {
		return 1152
	}
	return 576
}

// lameFrames returns how many frames LAME makes of a number of samples when it is
// flushed at the end: it flushes until at least 576 samples of padding follow the
// last one (lame.c, lame_encode_flush).
func lameFrames(samples int64, block int) int64 {
	return (samples + lameDelay + 576 + int64(block) - 1) / int64(block)
}

package transcode

/*
#cgo pkg-config: libavcodec libavutil
#include <string.h>
#include <libavcodec/avcodec.h>

// mp3lathe_encode sends frames to an encoder, or its end if there are none, and
// collects the packets that come out, one after the other, in buf. sizes gets the
// size of each. It returns how many there are, or a libav error.
static int mp3lathe_encode(AVCodecContext *c, AVFrame **frames, int n,
		uint8_t *buf, int room, int *sizes, int most) {
	AVPacket *packet = av_packet_alloc();
	int count = 0, i = 0, err = packet ? 0 : AVERROR(ENOMEM);
	while (err >= 0) {
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
	return err < 0 ? err : count;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/asticode/go-astiav"

	"github.com/mp3lathe/mp3lathe/transcode/internal/mp3"
)

// encoder is the stage that turns blocks of PCM into MP3 frames, in order. A
// block holds the samples of one MP3 frame; only the last may be shorter.
type encoder interface {
	// encode takes at most batchBlocks blocks. The caller may write to them
	// again afterwards.
	encode(blocks []*astiav.Frame) error
	// finish gives out the frames that are still held back.
	finish() error
	close()
}

// batchBlocks is how many blocks are encoded in one call into C. A frame takes LAME
// some hundred microseconds, and a call that long for each keeps the Go scheduler
// busy with handing the processor back and forth; see also batch.flush. A call for
// this many ends within a few milliseconds, in which a cancellation waits.
const batchBlocks = 16

// maxMP3Frame is the size of the largest frame: 320 kb/s at 32 kHz, with padding.
const maxMP3Frame = 1441

// lameDelay is the encoder's own delay in samples, as LAME's header counts it:
// without the 529 samples that every decoder adds.
const lameDelay = 576

// serialEncoder runs one LAME.
type serialEncoder struct {
	context *astiav.CodecContext
	emit    func([]byte) error // takes each MP3 frame
	frames  []*C.AVFrame
	buf     []byte
	sizes   []C.int
}

// newSerialEncoder opens LAME for blocks of blockSize samples in one of its sample
// formats (S16P, S32P, FLTP).
func newSerialEncoder(e Encoding, rate, channels int, format astiav.SampleFormat, emit func([]byte) error) (*serialEncoder, error) {
	codec := astiav.FindEncoderByName("libmp3lame")
	if codec == nil {
		return nil, errors.New("this build of libav has no libmp3lame")
	}
	// More than the blocks of a batch may come out at the end.
	const most = batchBlocks + 8
	s := &serialEncoder{
		context: astiav.AllocCodecContext(codec), emit: emit,
		buf: make([]byte, most*maxMP3Frame), sizes: make([]C.int, most),
	}
	owners.Add(1)
	if s.context == nil {
		s.close()
		return nil, errNoMemory
	}
	c := s.context
	c.SetSampleFormat(format)
	c.SetSampleRate(rate)
	c.SetChannelLayout(target{channels: channels}.layout())
	c.SetTimeBase(astiav.NewRational(1, rate))
	options := astiav.NewDictionary()
	defer options.Free()
	var err error
	switch e.mode {
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
		s.close()
		return nil, fmt.Errorf("LAME does not take %v at %d Hz: %w", e, rate, err)
	}
	return s, nil
}

// blockSize returns the samples of an MP3 frame at a sample rate in Hz, per
// channel (ISO/IEC 11172-3 and 13818-3).
func blockSize(rate int) int {
	if v, _ := mp3.VersionOf(rate); v == mp3.MPEG1 {
		return 1152
	}
	return 576
}

func (s *serialEncoder) encode(blocks []*astiav.Frame) error {
	s.frames = s.frames[:0]
	for _, b := range blocks {
		s.frames = append(s.frames, av(b))
	}
	if len(blocks) == 0 {
		return nil
	}
	return s.run(&s.frames[0], len(blocks))
}

func (s *serialEncoder) finish() error { return s.run(nil, 0) }

// run encodes n frames, or the end, and gives out what comes of it.
func (s *serialEncoder) run(frames **C.AVFrame, n int) error {
	count := int(C.mp3lathe_encode(
		(*C.AVCodecContext)(s.context.UnsafePointer()), frames, C.int(n),
		(*C.uint8_t)(unsafe.Pointer(&s.buf[0])), C.int(len(s.buf)), &s.sizes[0], C.int(len(s.sizes))))
	if count < 0 {
		return fmt.Errorf("LAME: %w", astiav.Error(count))
	}
	at := 0
	for _, size := range s.sizes[:count] {
		if err := s.emit(s.buf[at:][:size]); err != nil {
			return err
		}
		at += int(size)
	}
	return nil
}

func (s *serialEncoder) close() {
	owners.Add(-1)
	if s.context != nil {
		s.context.Free()
	}
}

// lameFrames returns how many frames LAME makes of a number of samples when it is
// flushed at the end: it flushes until at least 576 samples of padding follow the
// last one (lame.c, lame_encode_flush).
func lameFrames(samples int64, block int) int64 {
	return (samples + lameDelay + 576 + int64(block) - 1) / int64(block)
}

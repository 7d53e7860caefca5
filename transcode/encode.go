package transcode

import (
	"errors"
	"fmt"

	"github.com/asticode/go-astiav"

	"github.com/mp3lathe/mp3lathe/transcode/internal/mp3"
)

// encoder is the stage that turns blocks of PCM into MP3 frames, in order. A
// block holds the samples of one MP3 frame; only the last may be shorter.
type encoder interface {
	// encode takes a block. The caller may write to it again afterwards.
	encode(block *astiav.Frame) error
	// finish gives out the frames that are still held back.
	finish() error
	close()
}

// lameDelay is the encoder's own delay in samples, as LAME's header counts it:
// without the 529 samples that every decoder adds.
const lameDelay = 576

// serialEncoder runs one LAME.
type serialEncoder struct {
	context *astiav.CodecContext
	packet  *astiav.Packet
	frame   func([]byte) error // takes each MP3 frame
}

// newSerialEncoder opens LAME. It knows the block size it wants only then: see
// blockSize.
func newSerialEncoder(e Encoding, rate, channels int, format astiav.SampleFormat, frame func([]byte) error) (*serialEncoder, error) {
	codec := astiav.FindEncoderByName("libmp3lame")
	if codec == nil {
		return nil, errors.New("this build of libav has no libmp3lame")
	}
	s := &serialEncoder{context: astiav.AllocCodecContext(codec), packet: astiav.AllocPacket(), frame: frame}
	owners.Add(1)
	if s.context == nil || s.packet == nil {
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
	switch e.mode {
	case modeCBR, modeABR:
		c.SetBitRate(int64(e.value) * 1000)
		if e.mode == modeABR {
			if err := options.Set("abr", "1", 0); err != nil {
				s.close()
				return nil, err
			}
		}
	case modeVBR:
		c.SetFlags(astiav.NewCodecContextFlags(astiav.CodecContextFlagQscale))
		const qp2lambda = 118 // FF_QP2LAMBDA, libavutil/avutil.h
		if err := options.Set("global_quality", fmt.Sprint(e.value*qp2lambda), 0); err != nil {
			s.close()
			return nil, err
		}
	}
	if err := c.Open(codec, options); err != nil {
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

func (s *serialEncoder) encode(block *astiav.Frame) error {
	if err := s.context.SendFrame(block); err != nil {
		return err
	}
	return s.receive()
}

func (s *serialEncoder) finish() error {
	if err := s.context.SendFrame(nil); err != nil {
		return err
	}
	return s.receive()
}

func (s *serialEncoder) receive() error {
	for {
		err := s.context.ReceivePacket(s.packet)
		if errors.Is(err, astiav.ErrEagain) || errors.Is(err, astiav.ErrEof) {
			return nil
		}
		if err != nil {
			return err
		}
		data := s.packet.Data()
		s.packet.Unref()
		if err := s.frame(data); err != nil {
			return err
		}
	}
}

func (s *serialEncoder) close() {
	owners.Add(-1)
	if s.packet != nil {
		s.packet.Free()
	}
	if s.context != nil {
		s.context.Free()
	}
}

// lameFrames returns how many frames LAME makes of a number of samples: it flushes
// until at least 576 samples of padding follow the last one (lame.c,
// lame_encode_flush).
func lameFrames(samples int64, block int) int64 {
	return (samples + lameDelay + 576 + int64(block) - 1) / int64(block)
}

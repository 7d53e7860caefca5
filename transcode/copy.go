package transcode

import (
	"errors"
	"io"
	"math"

	"github.com/mp3lathe/mp3lathe/transcode/internal/mp3"
)

// errNoCopy means that an MP3 track has to be encoded anew.
var errNoCopy = errors.New("the frames cannot be copied")

// copyFrames writes the frames of an MP3 track as they are, bit by bit.
//
// What the edit list drops at either end is told to the player in the header
// frame. That works where the priming is at least a decoder's own delay, as every
// encoder's is; where there is none, the player plays everything, or everything
// but its own delay (mpg123).
func (c *conversion) copyFrames() error {
	if len(c.shown.segments) != 1 || c.shown.segments[0].Silence {
		return errNoCopy
	}
	constant, err := c.constantSize()
	if err != nil {
		return err
	}
	var (
		framer mp3.Framer
		stream mp3.Header // of the first frame
		d      = c.decoder
	)
	frames := func() error {
		for {
			data, h, ok := framer.Next()
			if !ok {
				return framer.Err()
			}
			if stream.SampleRate == 0 {
				if mp3.IsInfoFrame(data) {
					continue
				}
				stream = h
				if err := c.beginCopy(h, constant); err != nil {
					return err
				}
			}
			if h.SampleRate != stream.SampleRate || h.Channels() != stream.Channels() || constant && h.Bitrate != stream.Bitrate {
				return errNoCopy
			}
			d.packets++
			if err := c.frame(data); err != nil {
				return err
			}
			c.samples += int64(h.Samples())
			c.tell(c.samples, false)
		}
	}
	for {
		p, err := d.demux.next()
		if err == io.EOF {
			break
		}
		if err != nil && c.acceptable(err) {
			c.partial = fail("read", err)
			break
		}
		if err != nil {
			return err
		}
		framer.Write(p.data)
		if err := frames(); err != nil {
			return c.copyFailed(err)
		}
	}
	framer.Flush()
	if err := frames(); err != nil {
		return c.copyFailed(err)
	}
	if c.mux == nil {
		return errNoCopy // no frame: the decoder says why
	}
	return c.finishCopy(stream)
}

// copyFailed tells an error that ends the conversion from one that only ends the
// copying: once a byte is written, there is no way back.
func (c *conversion) copyFailed(err error) error {
	if c.mux == nil && (errors.Is(err, mp3.ErrFreeFormat) || errors.Is(err, errNoCopy)) {
		return errNoCopy
	}
	if errors.Is(err, errNoCopy) || errors.Is(err, mp3.ErrFreeFormat) {
		return &Error{Op: "decode", Err: ErrInvalidData, Detail: "the MP3 frames change their format; ask for an encoding to have them decoded"}
	}
	return err
}

// constantSize reports, from the index alone, whether all samples have the same
// size but for the padding byte: a constant bit rate.
func (c *conversion) constantSize() (bool, error) {
	samples, err := c.track.Samples(c.decoder.stream.packing)
	if err != nil {
		return false, err
	}
	least, most := int64(math.MaxInt64), int64(0)
	for {
		s, err := samples.Next()
		if err != nil {
			break // the copying meets it again
		}
		if err := c.src.ctx.Err(); err != nil {
			return false, err
		}
		least, most = min(least, s.Size), max(most, s.Size)
	}
	return most-least <= 1, nil
}

// beginCopy starts the file, given its first frame.
func (c *conversion) beginCopy(h mp3.Header, constant bool) error {
	c.decoder.rate = h.SampleRate
	c.settings = Settings{Copied: true, SampleRate: h.SampleRate, Channels: h.Channels()}
	_, c.expected = c.shown.spans(h.SampleRate, c.track.Timescale, 0, math.MaxInt64)
	info := mp3.InfoHeader{Frame: h, Method: mp3.VBR, Quality: -1, Encoder: "LAME"}
	if constant {
		info.Method, info.Bitrate = mp3.CBR, h.Bitrate
	}
	var p promise
	if delay, ok := c.copyDelay(); ok && c.expected > 0 {
		info.Gapless, info.Delay = true, delay
		spf := int64(h.Samples())
		p.frames = (c.expected + int64(delay) + mp3.DecoderDelay + spf - 1) / spf
		p.padding = mp3.Padding(c.expected, p.frames, int(spf), delay)
	}
	return c.newMuxer(info, p)
}

// copyDelay returns the priming as LAME's header counts it, without the
// decoder's.
func (c *conversion) copyDelay() (int, bool) {
	delay := c.shown.segments[0].Start.At(c.decoder.rate) - mp3.DecoderDelay
	return int(delay), delay >= 0 && delay <= 4095
}

// finishCopy completes the file with what the edit list drops at its ends.
func (c *conversion) finishCopy(stream mp3.Header) error {
	total, padding := c.samples, 0
	if c.mux.info.Gapless {
		played := total - int64(c.mux.info.Delay) - mp3.DecoderDelay
		if c.expected > 0 {
			played = min(played, c.expected)
		}
		padding = mp3.Padding(played, c.mux.frames, stream.Samples(), c.mux.info.Delay)
		if played <= 0 || padding > 4095 {
			// More is dropped than a player can be told.
			c.mux.info.Delay, padding, played = 0, 0, total
		}
		c.samples = played
	}
	return c.finish(padding)
}

package transcode

/*
#cgo pkg-config: libavcodec libavutil
#include <string.h>
#include <libavcodec/avcodec.h>

// mp3lathe_send gives a decoder a copy of a packet's data, with the padding behind
// it that decoders read into. (go-astiav's Packet.FromData leaves it out.)
static int mp3lathe_send(AVCodecContext *c, const uint8_t *data, int size, int64_t time) {
	AVPacket *p = av_packet_alloc();
	int err = p ? av_new_packet(p, size) : AVERROR(ENOMEM);
	if (err >= 0) {
		memcpy(p->data, data, size);
		p->pts = p->dts = time;
		err = avcodec_send_packet(c, p);
	}
	av_packet_free(&p);
	return err;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"unsafe"

	"github.com/asticode/go-astiav"

	"github.com/mp3lathe/mp3lathe/transcode/internal/mp3"
	"github.com/mp3lathe/mp3lathe/transcode/internal/mp4"
)

// maxFrameSamples bounds what a decoder may make of one packet, per channel.
// FLAC's largest block has 65535; uncompressed groups have a few thousand.
const maxFrameSamples = 1 << 20

// decoder turns the packets of a track into frames of PCM that lie on the
// media's timeline, counted in samples. A packet that cannot be decoded is
// counted, and leaves a gap.
type decoder struct {
	file    *mp4.File
	track   *mp4.Track
	demux   *demuxer
	limits  Limits
	stream  *stream
	current int // description that stream is for
	context *astiav.CodecContext
	frame   *astiav.Frame
	framer  *mp3.Framer // of MP3 whose packets are not whole frames, else nil

	rate    int   // of the first frame: the timeline's; 0 before it
	next    int64 // position of the next sample; -1 before the first frame of a run
	began   int64 // time of the run's first packet, in ticks; -1 before it
	lost    bool  // a packet before the first frame of the run was lost
	fed     packet
	drained bool

	most    int // packets to send, 0 for all
	packets int // sent
	errors  int // of those, not decoded
	frames  int // decoded
}

func newDecoder(src *source, f *mp4.File, t *mp4.Track, limits Limits) (*decoder, error) {
	d := &decoder{file: f, track: t, limits: limits, next: -1, began: -1}
	var err error
	if d.stream, err = describe(f, t, 0); err != nil {
		return nil, err
	}
	owners.Add(1)
	if d.demux, err = newDemuxer(src, t, d.stream.packing, limits); err != nil {
		d.close()
		return nil, err
	}
	if d.frame = astiav.AllocFrame(); d.frame == nil {
		d.close()
		return nil, errNoMemory
	}
	return d, nil
}

func (d *decoder) close() {
	owners.Add(-1)
	if d.frame != nil {
		d.frame.Free()
	}
	d.closeCodec()
	d.stream.close()
}

func (d *decoder) closeCodec() {
	if d.context != nil {
		d.context.Free()
		d.context = nil
	}
}

// open prepares the codec for the current description.
func (d *decoder) open() error {
	d.closeCodec()
	s := d.stream
	if s.decoder == nil {
		return &Error{Op: "decode", Err: ErrUnsupported, Codec: s.codec}
	}
	d.context = astiav.AllocCodecContext(s.decoder)
	if d.context == nil {
		return errNoMemory
	}
	if err := d.context.FromCodecParameters(s.params); err != nil {
		return err
	}
	// One thread: jobs run side by side. All samples: what the edit list drops
	// is dropped here, exactly, and not by the decoder's own rules.
	d.context.SetThreadCount(1)
	d.context.SetFlags2(astiav.NewCodecContextFlags2(astiav.CodecFlag2SkipManual))
	options := astiav.NewDictionary()
	defer options.Free()
	if err := options.Set("max_samples", fmt.Sprint(maxFrameSamples), 0); err != nil {
		return err
	}
	if err := d.context.Open(s.decoder, options); err != nil {
		return &Error{Op: "decode", Err: ErrInvalidData, Detail: fmt.Sprintf("the %s decoder does not take the track's description: %v", s.codec, err)}
	}
	return nil
}

// restart goes on with the first packet that ends after a time in ticks.
func (d *decoder) restart(ticks int64) error {
	if err := d.demux.jump(ticks); err != nil && err != io.EOF {
		return err
	}
	d.closeCodec()
	d.next, d.began, d.lost, d.drained = -1, -1, false, false
	d.frame.Unref()
	return nil
}

// samples converts ticks of the media to samples of the timeline.
func (d *decoder) samples(ticks int64) int64 {
	return mp4.Rescale(ticks, int64(d.rate), int64(d.track.Timescale))
}

// read returns the next frame, which belongs to the decoder and is valid until
// the next call, and the position of its first sample; or io.EOF.
func (d *decoder) read() (*astiav.Frame, int64, error) {
	for {
		if d.context == nil {
			if err := d.open(); err != nil {
				return nil, 0, err
			}
		}
		// Not by go-astiav, which allocates each error, and there is one for each packet.
		err := C.avcodec_receive_frame((*C.AVCodecContext)(d.context.UnsafePointer()), av(d.frame))
		switch {
		case err >= 0:
			if d.frame.NbSamples() <= 0 || d.frame.SampleRate() <= 0 || channelsOf(d.frame) <= 0 {
				continue
			}
			return d.place()
		case err == C.AVERROR_EOF:
			return nil, 0, io.EOF
		case err != -C.int(syscall.EAGAIN):
			if d.drained {
				return nil, 0, io.EOF
			}
			d.lose()
		}
		if err := d.feed(); err != nil {
			return nil, 0, err
		}
	}
}

// place finds the position of the frame just decoded.
func (d *decoder) place() (*astiav.Frame, int64, error) {
	f := d.frame
	if n := channelsOf(f); n > d.limits.Channels {
		return nil, 0, &Error{Op: "decode", Err: ErrLimit, Detail: fmt.Sprintf("%d channels; at most %d are allowed", n, d.limits.Channels)}
	}
	d.frames++
	if d.rate == 0 {
		d.rate = f.SampleRate()
	}
	if d.next < 0 {
		// A decoder that needs a packet or two before it speaks (Vorbis) starts
		// with the first of them. After a loss the frame's own time counts.
		start := d.began
		if d.lost {
			start = max(start, f.Pts())
		}
		d.next = d.samples(start)
	}
	n := int64(f.NbSamples())
	if d.fed.last && f.Pts() == d.fed.time {
		if keep := d.lastSamples(n); keep < n {
			cutFrame(f, 0, int(keep))
			n = keep
		}
	}
	pos := d.next
	if f.SampleRate() != d.rate {
		n = mp4.Rescale(n, int64(d.rate), int64(f.SampleRate()))
	}
	d.next += n
	return f, pos, nil
}

// lastSamples returns how many of the n samples of the last frame are audio.
// Writers shorten the last packet's duration to where it ends. A duration of next
// to nothing says only that they did not know, and what is within a tick of a
// coarse timescale says nothing either.
func (d *decoder) lastSamples(n int64) int64 {
	rate := int64(d.frame.SampleRate())
	tick := rate/int64(d.track.Timescale) + 1
	keep := mp4.Rescale(d.fed.duration, rate, int64(d.track.Timescale))
	if d.fed.duration <= 1 || n-keep <= tick {
		return n
	}
	if drift := d.samples(d.fed.time) - d.next; d.frame.SampleRate() == d.rate && -tick <= drift && drift <= tick {
		keep += drift // the packet's start was rounded as well
	}
	return min(keep, n)
}

// lose notes that the packet last fed could not be decoded.
func (d *decoder) lose() {
	d.errors++
	if d.next < 0 {
		d.lost = true
		return
	}
	d.next += d.samples(d.fed.duration)
}

// feed sends the next packet to the codec.
func (d *decoder) feed() error {
	if d.framer != nil {
		if frame, _, ok := d.framer.Next(); ok {
			return d.send(frame)
		}
	}
	p, err := d.demux.next()
	if err == io.EOF || d.most > 0 && d.packets >= d.most {
		if d.framer != nil {
			d.framer.Flush()
			if frame, _, ok := d.framer.Next(); ok {
				return d.send(frame)
			}
		}
		d.drained = true
		if err := d.context.SendPacket(nil); err != nil && !errors.Is(err, astiav.ErrEof) {
			return err
		}
		return nil
	}
	if err != nil {
		return err
	}
	if p.description != d.current {
		if err := d.describe(p.description); err != nil {
			return err
		}
	}
	if d.began < 0 {
		d.began = p.time
		d.framer = nil
		if d.stream.codec == "mp3" {
			d.lookAtMP3(p.data)
		}
	}
	d.fed = p
	if d.framer != nil {
		d.framer.Write(p.data)
		return nil
	}
	return d.send(p.data)
}

// lookAtMP3 finds out from the first packet which of the MPEG-1 layers it is,
// since they share a sample entry, and whether packets are whole frames; QuickTime
// files may cut the stream anywhere.
func (d *decoder) lookAtMP3(data []byte) {
	for len(data) > 0 {
		h, err := mp3.ParseHeader(data)
		if err == nil && h.Layer != 3 {
			d.stream.codec = fmt.Sprintf("mp%d", h.Layer)
			return
		}
		if err != nil || h.FrameSize() == 0 || h.FrameSize() > len(data) {
			d.framer = new(mp3.Framer)
			return
		}
		data = data[h.FrameSize():]
	}
}

// send gives one packet's data to the codec.
func (d *decoder) send(data []byte) error {
	if d.stream.codec == "mp3" && d.packets == 0 && mp3.IsInfoFrame(data) {
		return nil
	}
	d.packets++
	err := C.mp3lathe_send((*C.AVCodecContext)(d.context.UnsafePointer()), (*C.uint8_t)(unsafe.Pointer(&data[0])), C.int(len(data)), C.int64_t(d.fed.time))
	switch {
	case err == -C.int(syscall.ENOMEM):
		return errNoMemory
	case err < 0:
		d.lose()
	}
	return nil
}

// describe changes to another sample description of the track.
func (d *decoder) describe(description int) error {
	if d.track.Descriptions[description].Encrypted {
		return &Error{Op: "decode", Err: ErrEncrypted}
	}
	s, err := describe(d.file, d.track, description)
	if err != nil {
		return err
	}
	d.stream.close()
	d.stream, d.current = s, description
	return d.open()
}

package transcode

import (
	"fmt"

	"github.com/asticode/go-astiav"

	"github.com/mp3lathe/mp3lathe/transcode/internal/mp4"
)

// resampler turns frames of any format into blocks of the encoder's size, channel
// count, sample rate and sample format, and makes their number exact.
type resampler struct {
	to      target
	in      *astiav.Frame // format of the frames that come in, nil before the first
	swr     *astiav.SoftwareResampleContext
	out     *astiav.Frame // what swr made
	queue   *astiav.AudioFifo
	format  astiav.SampleFormat
	plain   bool  // swr gets frames with the usual channel layout, and not their own
	both    bool  // a mono source goes on both sides, which happens last
	queued  int64 // samples put into the queue, in total
	taken   int64 // samples taken out
	arrived int64 // samples that came in, in units of 1/(rate of the first frame) s
	rate    int   // of the first frame
}

// target is what the encoder wants.
type target struct {
	rate     int // Hz
	channels int
	block    int // samples per channel
}

func (t target) layout() astiav.ChannelLayout {
	if t.channels == 1 {
		return astiav.ChannelLayoutMono
	}
	return astiav.ChannelLayoutStereo
}

// newResampler prepares for frames like first.
func newResampler(first *astiav.Frame, to target) (*resampler, error) {
	r := &resampler{to: to, rate: first.SampleRate(), format: blockFormat(first, to)}
	owners.Add(1)
	// libswresample would put mono on both sides at -3 dB.
	r.both = to.channels == 2 && channelsOf(first) == 1
	r.queue = astiav.AllocAudioFifo(r.format, r.channels(), 4*to.block)
	r.out = astiav.AllocFrame()
	if r.queue == nil || r.out == nil {
		r.close()
		return nil, errNoMemory
	}
	return r, nil
}

// blockFormat returns the sample format of the blocks: the one of LAME's three
// that needs no conversion. Folding channels down goes to 32-bit integers, because
// libswresample then scales the mixing matrix so that nothing can clip; for
// floating point it does not.
func blockFormat(f *astiav.Frame, to target) astiav.SampleFormat {
	if channelsOf(f) > to.channels {
		return astiav.SampleFormatS32P
	}
	switch f.SampleFormat() {
	case astiav.SampleFormatU8, astiav.SampleFormatU8P, astiav.SampleFormatS16, astiav.SampleFormatS16P:
		if f.SampleRate() == to.rate {
			return astiav.SampleFormatS16P
		}
	case astiav.SampleFormatS32, astiav.SampleFormatS32P:
		return astiav.SampleFormatS32P
	}
	return astiav.SampleFormatFltp
}

// channels returns the channel count up to the queue.
func (r *resampler) channels() int {
	if r.both {
		return 1
	}
	return r.to.channels
}

func (r *resampler) close() {
	owners.Add(-1)
	r.closeConverter()
	if r.in != nil {
		r.in.Free()
	}
	if r.out != nil {
		r.out.Free()
	}
	if r.queue != nil {
		r.queue.Free()
	}
}

func (r *resampler) closeConverter() {
	if r.swr != nil {
		r.swr.Free()
		r.swr = nil
	}
}

// write takes a frame. It may change the frame's idea of its channel layout.
func (r *resampler) write(f *astiav.Frame) error {
	if f.NbSamples() == 0 {
		return nil
	}
	if r.in == nil || !sameFormat(r.in, f) {
		if err := r.change(f); err != nil {
			return err
		}
	}
	n := int64(f.NbSamples())
	if f.SampleRate() != r.rate {
		n = n * int64(r.rate) / int64(f.SampleRate())
	}
	r.arrived += n
	if r.swr == nil {
		return r.enqueue(f)
	}
	if r.plain {
		plainLayout(f)
	}
	return r.convert(f)
}

// change prepares for frames of another format.
func (r *resampler) change(f *astiav.Frame) error {
	if err := r.drain(); err != nil {
		return err
	}
	r.closeConverter()
	if r.in != nil {
		r.in.Free()
	}
	var err error
	if r.in, err = newFrameLike(f, 1); err != nil {
		return err
	}
	// Of a layout that says nothing, libswresample makes the usual one, and then
	// finds that the next frame has another.
	r.plain = !toldLayout(f)
	if f.SampleFormat() == r.format && f.SampleRate() == r.to.rate && channelsOf(f) == r.channels() {
		return nil
	}
	if r.swr = astiav.AllocSoftwareResampleContext(); r.swr == nil {
		return errNoMemory
	}
	return nil
}

// convert sends a frame, or nil at the end, through libswresample.
func (r *resampler) convert(f *astiav.Frame) error {
	r.shape()
	err := r.swr.ConvertFrame(f, r.out)
	if err != nil && f != nil {
		// A channel layout that no mixing rule knows.
		r.plain = true
		plainLayout(f)
		r.closeConverter()
		if r.swr = astiav.AllocSoftwareResampleContext(); r.swr == nil {
			return errNoMemory
		}
		r.shape()
		err = r.swr.ConvertFrame(f, r.out)
	}
	if err != nil {
		return &Error{Op: "decode", Err: ErrUnsupported, Codec: "channel layout", Detail: fmt.Sprintf("%d channels cannot be mixed: %v", channelsOf(r.in), err)}
	}
	return r.enqueue(r.out)
}

// shape gives the output frame its format anew: libswresample allocates it.
func (r *resampler) shape() {
	r.out.Unref()
	r.out.SetSampleFormat(r.format)
	r.out.SetChannelLayout(target{channels: r.channels()}.layout())
	r.out.SetSampleRate(r.to.rate)
}

// drain takes out what the converter holds back.
func (r *resampler) drain() error {
	if r.swr == nil || r.queued == 0 && r.arrived == 0 {
		return nil
	}
	return r.convert(nil)
}

func (r *resampler) enqueue(f *astiav.Frame) error {
	if f.NbSamples() == 0 {
		return nil
	}
	n, err := r.queue.Write(f)
	r.queued += int64(n)
	return err
}

// finish makes the number of samples what it must be: as many as came in, at the
// new rate, rounded to the nearest. The filter's end can be a sample or two off.
func (r *resampler) finish() error {
	if err := r.drain(); err != nil {
		return err
	}
	missing := r.total() - r.queued
	if missing <= 0 {
		return nil
	}
	if missing > int64(r.to.rate) {
		return fmt.Errorf("the resampler lost %d samples", missing)
	}
	like, err := r.block()
	if err != nil {
		return err
	}
	defer like.Free()
	pad, err := newSilence(like, int(missing))
	if err != nil {
		return err
	}
	defer pad.Free()
	return r.enqueue(pad)
}

// total returns how many samples must come out of those that came in.
func (r *resampler) total() int64 { return mp4.Rescale(r.arrived, int64(r.to.rate), int64(r.rate)) }

// block returns a frame with room for a block.
func (r *resampler) block() (*astiav.Frame, error) {
	f := astiav.AllocFrame()
	if f == nil {
		return nil, errNoMemory
	}
	f.SetSampleFormat(r.format)
	f.SetChannelLayout(r.to.layout())
	f.SetSampleRate(r.to.rate)
	f.SetNbSamples(r.to.block)
	if err := f.AllocBuffer(0); err != nil {
		f.Free()
		return nil, errNoMemory
	}
	return f, nil
}

// read fills f with the next samples, a whole block or, after finish, what is
// left. It returns false where there is nothing.
func (r *resampler) read(f *astiav.Frame, finished bool) (bool, error) {
	n := r.queue.Size()
	if finished {
		n = int(min(int64(n), r.total()-r.taken))
	}
	n = min(n, r.to.block)
	if n <= 0 || n < r.to.block && !finished {
		return false, nil
	}
	// The encoder may still hold the buffer; a new one has room for a whole block.
	f.SetNbSamples(r.to.block)
	if err := f.MakeWritable(); err != nil {
		return false, err
	}
	f.SetNbSamples(n)
	got, err := r.queue.Read(f)
	if err != nil {
		return false, err
	}
	if r.format == astiav.SampleFormatFltp {
		tame(f)
	}
	if r.both {
		copyPlane(f)
	}
	f.SetPts(r.taken)
	r.taken += int64(got)
	return got > 0, nil
}

package transcode

/*
#cgo CFLAGS: -O3
#cgo pkg-config: libavutil
#include <string.h>
#include <libavutil/frame.h>
#include <libavutil/samplefmt.h>

// mp3lathe_cut makes an audio frame begin later and be shorter. The samples stay
// where they are; the frame's pointers to them move, which its reference to the
// buffer does not mind.
static void mp3lathe_cut(AVFrame *f, int from, int n) {
	int bytes = av_get_bytes_per_sample(f->format);
	int channels = f->ch_layout.nb_channels;
	if (av_sample_fmt_is_planar(f->format)) {
		for (int i = 0; i < channels; i++)
			f->extended_data[i] += (size_t)from * bytes;
		if (f->extended_data != f->data)
			for (int i = 0; i < AV_NUM_DATA_POINTERS && i < channels; i++)
				f->data[i] = f->extended_data[i];
	} else {
		f->extended_data[0] += (size_t)from * bytes * channels;
		f->data[0] = f->extended_data[0];
	}
	f->nb_samples = n;
}

// mp3lathe_silence fills an audio frame of any channel count with silence.
static int mp3lathe_silence(AVFrame *f) {
	return av_samples_set_silence(f->extended_data, 0, f->nb_samples, f->ch_layout.nb_channels, f->format);
}

// mp3lathe_like gives an empty frame the format of another and n samples of room.
static int mp3lathe_like(AVFrame *f, const AVFrame *like, int n) {
	int err = av_channel_layout_copy(&f->ch_layout, &like->ch_layout);
	f->format = like->format;
	f->sample_rate = like->sample_rate;
	f->nb_samples = n;
	return err < 0 ? err : av_frame_get_buffer(f, 0);
}

static int mp3lathe_same_format(const AVFrame *a, const AVFrame *b) {
	return a->format == b->format && a->sample_rate == b->sample_rate &&
		av_channel_layout_compare(&a->ch_layout, &b->ch_layout) == 0;
}

// mp3lathe_wild tells whether a sample is not a number, or 18 dB above full scale or
// more: neither happens in real sound. It has no branches, so that the compiler can
// take many samples at a time.
static int mp3lathe_wild(const float *v, int n) {
	int wild = 0;
	for (int i = 0; i < n; i++)
		wild |= !(v[i] >= -8 & v[i] <= 8);
	return wild;
}

// mp3lathe_tame makes such samples harmless, in a frame of planar floats: what is not
// a number becomes silence, the others are cut off.
static void mp3lathe_tame(AVFrame *f) {
	const float most = 8;
	for (int c = 0; c < f->ch_layout.nb_channels; c++) {
		float *v = (float *)f->extended_data[c];
		if (!mp3lathe_wild(v, f->nb_samples))
			continue;
		for (int i = 0; i < f->nb_samples; i++)
			if (!(v[i] >= -most && v[i] <= most))
				v[i] = v[i] > most ? most : v[i] < -most ? -most : 0;
	}
}

// mp3lathe_copy_plane makes the second plane of a frame a copy of the first.
static void mp3lathe_copy_plane(AVFrame *f) {
	memcpy(f->data[1], f->data[0], (size_t)f->nb_samples * av_get_bytes_per_sample(f->format));
}

static int mp3lathe_channels(const AVFrame *f) { return f->ch_layout.nb_channels; }

static int mp3lathe_told_layout(const AVFrame *f) { return f->ch_layout.order != AV_CHANNEL_ORDER_UNSPEC; }

// mp3lathe_plain_layout replaces a layout that says nothing a mixer could use by
// the usual one for its channel count.
static void mp3lathe_plain_layout(AVFrame *f) {
	int n = f->ch_layout.nb_channels;
	av_channel_layout_uninit(&f->ch_layout);
	av_channel_layout_default(&f->ch_layout, n);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"

	"github.com/asticode/go-astiav"
)

// owners counts what holds memory of C: each is added where it is made and taken
// off where it is closed, so that a test can see that nothing stays behind.
var owners atomic.Int64

// errNoMemory means that an allocation in C failed.
var errNoMemory = fmt.Errorf("libav is out of memory: %w", syscall.ENOMEM)

// What go-astiav does not reach of a frame, or reaches only for eight channels
// (it passes AVFrame.data where extended_data is meant), or at the price of an
// allocation per call (ChannelLayout).

func av(f *astiav.Frame) *C.AVFrame { return (*C.AVFrame)(f.UnsafePointer()) }

// cutFrame makes f the n samples of itself that begin at from.
func cutFrame(f *astiav.Frame, from, n int) { C.mp3lathe_cut(av(f), C.int(from), C.int(n)) }

// channelsOf returns the channel count of a frame.
func channelsOf(f *astiav.Frame) int { return int(C.mp3lathe_channels(av(f))) }

// tame makes a frame of planar floats safe for LAME, whose assertions fail on what
// is not a number.
func tame(f *astiav.Frame) { C.mp3lathe_tame(av(f)) }

// copyPlane makes the second plane of a planar frame a copy of the first.
func copyPlane(f *astiav.Frame) { C.mp3lathe_copy_plane(av(f)) }

// sameFormat reports whether two frames have the same sample format, sample rate
// and channel layout.
func sameFormat(a, b *astiav.Frame) bool { return C.mp3lathe_same_format(av(a), av(b)) != 0 }

// toldLayout reports whether a frame says what its channels are.
func toldLayout(f *astiav.Frame) bool { return C.mp3lathe_told_layout(av(f)) != 0 }

// plainLayout gives f the usual channel layout for its channel count.
func plainLayout(f *astiav.Frame) { C.mp3lathe_plain_layout(av(f)) }

// newFrameLike returns a frame of the same format with room for n samples.
func newFrameLike(like *astiav.Frame, n int) (*astiav.Frame, error) {
	f := astiav.AllocFrame()
	if f == nil {
		return nil, errNoMemory
	}
	if C.mp3lathe_like(av(f), av(like), C.int(n)) < 0 {
		f.Free()
		return nil, errNoMemory
	}
	return f, nil
}

// newSilence returns a frame of n samples of silence in the format of another.
func newSilence(like *astiav.Frame, n int) (*astiav.Frame, error) {
	f, err := newFrameLike(like, n)
	if err != nil {
		return nil, err
	}
	if err := silence(f); err != nil {
		f.Free()
		return nil, err
	}
	return f, nil
}

// silence fills a frame with silence.
func silence(f *astiav.Frame) error {
	if C.mp3lathe_silence(av(f)) < 0 {
		return errors.New("libav could not make silence")
	}
	return nil
}

package transcode

/*
#cgo pkg-config: libavutil
#include <libavutil/avutil.h>
*/
import "C"

import (
	"context"
	"regexp"
	"sync"

	"github.com/asticode/go-astiav"
)

// Versions names the libraries in this build.
type Versions struct {
	// Libav is the version of FFmpeg's libraries, such as "7.1.5".
	Libav string `json:"libav"`
	// LAME is the version of the MP3 encoder, such as "3.100".
	LAME string `json:"lame"`
}

// LibraryVersions returns the versions of the libraries in this build.
func LibraryVersions() Versions {
	return Versions{Libav: C.GoString(C.av_version_info()), LAME: lameVersion()}
}

// lameVersion returns LAME's version. libav has no call for it, but LAME writes
// it into the bits that a frame has to spare.
var lameVersion = sync.OnceValue(func() string {
	var found string
	look := func(frame []byte) error {
		if m := lameMark.FindSubmatch(frame); m != nil {
			found = string(m[1])
		}
		return nil
	}
	v := encoderConfig{encoding: CBR(320), rate: 44100, channels: 1, format: astiav.SampleFormatS16P}
	enc, err := newSerialEncoder(context.Background(), v, processors, look)
	if err != nil {
		return ""
	}
	defer enc.close()
	r := &resampler{to: target{rate: 44100, channels: 1, block: 1152}, format: astiav.SampleFormatS16P}
	block, err := r.block()
	if err != nil {
		return ""
	}
	defer block.Free()
	for range 4 {
		if silence(block) != nil || enc.encode([]*astiav.Frame{block}) != nil {
			return found
		}
	}
	_ = enc.finish()
	return found
})

var lameMark = regexp.MustCompile(`LAME(\d\.\d{2,3})`)

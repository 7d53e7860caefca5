package transcode

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"testing"

	"github.com/asticode/go-astiav"
)

// TestUntoldLayout: where a file does not say what its channels are, its sound is
// resampled in one go all the same, without a seam at each packet.
func TestUntoldLayout(t *testing.T) {
	t.Parallel()
	told := readFixture(t, "media/pcm-s16le.mov")
	if bytes.Count(told, []byte("chan")) != 1 {
		t.Fatal("the fixture has no channel layout to take away")
	}
	untold := bytes.Replace(told, []byte("chan"), []byte("free"), 1)
	var out [2]bytes.Buffer
	for i, src := range [][]byte{told, untold} {
		o := &Options{SampleRate: 16000, Parallelism: 1}
		if _, err := Convert(t.Context(), struct{ io.Writer }{&out[i]}, bytes.NewReader(src), o); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(out[0].Bytes(), out[1].Bytes()) {
		t.Error("another MP3 than where the file says it")
	}
}

// TestTame: what is no sound becomes harmless, one number at a time, and all else
// stays as it is, bit for bit.
func TestTame(t *testing.T) {
	t.Parallel()
	above := math.Nextafter32(8, 9)
	for _, test := range []struct{ in, want float32 }{
		{0, 0}, {float32(math.Copysign(0, -1)), float32(math.Copysign(0, -1))}, {1e-42, 1e-42}, {-1e-42, -1e-42}, {0.5, 0.5}, {-1, -1},
		{8, 8}, {-8, -8}, {above, 8}, {-above, -8}, {math.MaxFloat32, 8}, {-math.MaxFloat32, -8},
		{float32(math.Inf(1)), 8}, {float32(math.Inf(-1)), -8},
		{float32(math.NaN()), 0}, {math.Float32frombits(0xffc00001), 0}, {math.Float32frombits(0x7f800001), 0},
	} {
		const n = 37
		for _, at := range []int{0, 17, n - 1} {
			r := &resampler{to: target{rate: 44100, channels: 1, block: n}, format: astiav.SampleFormatFltp}
			f, err := r.block()
			if err != nil {
				t.Fatal(err)
			}
			defer f.Free()
			samples := make([]byte, 4*n)
			for i := range n {
				v := float32(i) / n
				if i == at {
					v = test.in
				}
				binary.LittleEndian.PutUint32(samples[4*i:], math.Float32bits(v))
			}
			if err := f.Data().SetBytes(samples, 1); err != nil {
				t.Fatal(err)
			}
			tame(f)
			got, err := f.Data().Bytes(1)
			if err != nil {
				t.Fatal(err)
			}
			binary.LittleEndian.PutUint32(samples[4*at:], math.Float32bits(test.want))
			if !bytes.Equal(got, samples) {
				t.Errorf("%v at %d did not become %v, or others changed", test.in, at, test.want)
			}
		}
	}
}

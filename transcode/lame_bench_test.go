package transcode

import (
	"testing"

	"github.com/asticode/go-astiav"
)

// BenchmarkNewLAME is what another encoder costs, apart from encoding.
func BenchmarkNewLAME(b *testing.B) {
	for b.Loop() {
		l, err := newLAME(encoderConfig{encoding: DefaultEncoding, rate: 44100, channels: 2, format: astiav.SampleFormatFltp}, longestBatch)
		if err != nil {
			b.Fatal(err)
		}
		l.close()
	}
}

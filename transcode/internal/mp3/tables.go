package mp3

import "slices"

// versionOfCode maps the header's two version bits; 1 is reserved.
var versionOfCode = [4]Version{0: MPEG25, 2: MPEG2, 3: MPEG1}

func versionCode(v Version) byte {
	if i := slices.Index(versionOfCode[:], v); i >= 0 {
		return byte(i)
	}
	return 1
}

// sampleRates holds the rates in Hz, in the order of the header's codes.
var sampleRates = [...][3]int{
	MPEG1:  {44100, 48000, 32000},
	MPEG2:  {22050, 24000, 16000},
	MPEG25: {11025, 12000, 8000},
}

func rateIndex(h Header) byte {
	if h.Version >= MPEG1 && h.Version <= MPEG25 {
		if i := slices.Index(sampleRates[h.Version][:], h.SampleRate); i >= 0 {
			return byte(i)
		}
	}
	return 3
}

// Bit rates in kb/s of the header's codes 1 to 14 (0 is free format, 15 is not
// allowed): ISO/IEC 11172-3 §2.4.2.3 and ISO/IEC 13818-3 §2.4.2.3. MPEG-2.5
// shares the latter.
var (
	mpeg1Bitrates = [4][]int{
		1: {32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448},
		2: {32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
		3: {32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
	}
	mpeg2Bitrates = [4][]int{
		1: {32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},
		2: {8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
		3: {8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
	}
)

// bitrates returns the shared table; callers must not change it.
func bitrates(v Version, layer int) []int {
	switch {
	case layer < 1 || layer > 3:
		return nil
	case v == MPEG1:
		return mpeg1Bitrates[layer]
	case v == MPEG2 || v == MPEG25:
		return mpeg2Bitrates[layer]
	}
	return nil
}

func bitrateIndex(h Header) byte {
	if h.Bitrate == 0 {
		return 0
	}
	if i := slices.Index(bitrates(h.Version, h.Layer), h.Bitrate); i >= 0 {
		return byte(i + 1)
	}
	return 15
}

// Bitrates returns the bit rates of Layer III in kb/s, rising, without free
// format. It is empty for an unknown version.
func Bitrates(v Version) []int {
	return slices.Clone(bitrates(v, 3))
}

// NearestBitrate returns the Layer III bit rate in kb/s that is nearest to kbps
// among those allowed at sampleRate (Hz), the higher of two equally near ones.
// It is 0 for a sample rate that MPEG audio does not have.
func NearestBitrate(sampleRate, kbps int) int {
	v, ok := VersionOf(sampleRate)
	if !ok {
		return 0
	}
	best := 0
	for _, r := range bitrates(v, 3) {
		if best == 0 || abs(r-kbps) <= abs(best-kbps) {
			best = r
		}
	}
	return best
}

func abs(n int) int {
	return max(n, -n)
}

// SampleRates returns all sample rates of the three versions in Hz, rising.
func SampleRates() []int {
	var all []int
	for _, rates := range sampleRates {
		for _, r := range rates {
			if r != 0 { // the row of version 0 is empty
				all = append(all, r)
			}
		}
	}
	slices.Sort(all)
	return all
}

// VersionOf returns the version that has the sample rate (Hz); no two versions
// share one. It reports false when none has it.
func VersionOf(sampleRate int) (Version, bool) {
	for v := MPEG1; v <= MPEG25; v++ {
		if slices.Contains(sampleRates[v][:], sampleRate) {
			return v, true
		}
	}
	return 0, false
}

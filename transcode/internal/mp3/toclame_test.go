package mp3

import (
	"encoding/binary"
	"math"
	"strconv"
	"testing"
)

// TestTOCLikeLAME compares tables of contents with those that LAME makes.
func TestTOCLikeLAME(t *testing.T) {
	sound := chirp(44100, 1, 15*44100)
	for _, e := range []encoding{
		{rate: 44100, mode: Mono, method: VBR, quality: 4},
		{rate: 44100, mode: Mono, method: ABR, kbps: 64},
		{rate: 44100, mode: Mono, method: CBR, kbps: 96},
	} {
		t.Run(e.String(), func(t *testing.T) {
			t.Parallel()
			audio, info := splitInfo(t, lame(t, sound, e.args()...))
			theirs, err := ParseInfo(info.data)
			if err != nil {
				t.Fatal(err)
			}
			var toc TOC
			for _, f := range audio {
				toc.Add(len(f.data))
			}
			for i, got := range toc.Table(len(info.data)) {
				if want := int(theirs.TOC[i]); int(got) < want-2 || int(got) > want+2 {
					t.Errorf("entry %d is %d, LAME has %d", i, got, want)
				}
			}
		})
	}
}

// TestTOCSeeks has players jump into a VBR stream whose first half takes far
// fewer bytes than its second, and listens to where they land.
func TestTOCSeeks(t *testing.T) {
	const (
		rate    = 32000
		seconds = 20
	)
	e := encoding{rate: rate, mode: Mono, method: VBR, quality: 2}
	sound := scale(rate, seconds)
	audio, _ := splitInfo(t, lame(t, sound, e.args()...))
	spf := audio[0].header.Samples()
	i := ourInfo(audio, e, Padding(sound.length(), int64(len(audio)), spf, lameDelay))
	write := func() string {
		info, err := i.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return writeFile(t, "ours.mp3", append(info, join(audio)...))
	}
	mpg123 := func(path string, second float64) int {
		skip := strconv.Itoa(int(second * rate / float64(spf)))
		return note(run(t, "mpg123", "-q", "-s", "--fuzzy", "-k", skip, "-n", "8", path), rate)
	}
	ffmpeg := func(path string, second float64) int {
		at := strconv.FormatFloat(second, 'f', 3, 64)
		return note(run(t, "ffmpeg", "-v", "error", "-usetoc", "1", "-ss", at, "-i", path, "-t", "0.3", "-f", "s16le", "-"), rate)
	}

	path := write()
	for _, second := range []int{2, 7, 11, 14, 18} {
		middle := float64(second) + 0.35
		if got := mpg123(path, middle); got != second {
			t.Errorf("mpg123 seeks to second %d and plays second %d", second, got)
		}
		if got := ffmpeg(path, middle); got != second {
			t.Errorf("ffmpeg seeks to second %d and plays second %d", second, got)
		}
	}

	// With the table of a CBR stream both get lost, so they did use ours.
	for k := range i.TOC {
		i.TOC[k] = byte(256 * k / tocEntries)
	}
	path = write()
	if a, b := mpg123(path, 7.35), ffmpeg(path, 7.35); a == 7 || b == 7 {
		t.Errorf("seeks to second 7 with a wrong table land on %d (mpg123) and %d (ffmpeg)", a, b)
	}
}

// pitch is the tone of each second in scale, in Hz.
func pitch(second int) float64 { return 400 + 150*float64(second) }

// scale makes mono sound with another tone in each second; the second half has
// noise as well, which costs bits.
func scale(rate, seconds int) pcm {
	noise := chirp(rate, 1, 2*rate).samples[rate:]
	p := pcm{rate: rate, channels: 1}
	for i := range rate * seconds {
		second := i / rate
		v := 6000 * math.Sin(2*math.Pi*pitch(second)*float64(i)/float64(rate))
		if second >= seconds/2 {
			v += 0.5 * float64(noise[i%rate])
		}
		p.samples = append(p.samples, int16(v))
	}
	return p
}

// note returns the second of scale whose tone is the strongest in the samples,
// which are 16-bit, mono and in the machine's byte order (here little-endian).
func note(raw []byte, rate int) int {
	best, strongest := -1, 0.0
	for second := range 20 {
		var re, im float64
		for n := 0; 2*n+1 < len(raw); n++ {
			v := float64(int16(binary.LittleEndian.Uint16(raw[2*n:])))
			sin, cos := math.Sincos(2 * math.Pi * pitch(second) * float64(n) / float64(rate))
			re, im = re+v*cos, im+v*sin
		}
		if power := re*re + im*im; power > strongest {
			best, strongest = second, power
		}
	}
	return best
}

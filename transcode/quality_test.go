package transcode

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/asticode/go-astiav"
)

// qualitySound is a minute or more of sound for BenchmarkQuality.
func qualitySound(b testing.TB, kind string, rate, seconds int) pcm {
	n := seconds * rate
	if file, ok := strings.CutPrefix(kind, "corpus/"); ok {
		p := ffmpegDecode(b, filepath.Join(os.Getenv("MP3LATHE_CORPUS"), file), 2, "-ss", "60", "-t", fmt.Sprint(seconds), "-ar", fmt.Sprint(rate), "-ac", "2")
		return p.first(min(n, len(p[0])))
	}
	if kind != "mix" {
		return makeSound(b, kind, rate, 2, n)
	}
	// Three seconds of each.
	out := pcm{make([]float64, 0, n), make([]float64, 0, n)}
	var parts []pcm
	for _, k := range materials {
		parts = append(parts, makeSound(b, k, rate, 2, n))
	}
	for i := 0; len(out[0]) < n; i++ {
		from := min(i*3*rate, n)
		for c := range out {
			out[c] = append(out[c], parts[i*4%len(parts)][c][from:min(from+3*rate, n)]...)
		}
	}
	return out
}

// qualityRow encodes a sound with one encoder and with several, and returns a row of
// the table.
func qualityRow(b testing.TB, kind string, p pcm, v encoderConfig, serial *encoded, one pcm, chunk int64) string {
	got := engine{plan: plan{frames: chunk, chunks: 1, warmup: warmupFor(v)}, most: 2}.encode(b, v, p)
	many := play(b, got.file(b, v, len(p[0])), 2)
	was, is := frameSNR(p, one, v.rate, len(serial.frames)), frameSNR(p, many, v.rate, len(serial.frames))
	var near, elsewhere []float64
	for f := range was {
		if d := was[f] - is[f]; math.IsNaN(d) {
			continue
		} else if slices.ContainsFunc(got.splices, func(n int64) bool { return int64(f) >= n-2 && int64(f) <= n+1 }) {
			near = append(near, d)
		} else if d != 0 {
			elsewhere = append(elsewhere, math.Abs(d))
		}
	}
	slices.Sort(elsewhere)
	spread := 0.0
	if n := len(elsewhere); n > 0 {
		spread = elsewhere[n*999/1000]
	}
	sum := 0.0
	for _, d := range near {
		sum += d
	}
	return fmt.Sprintf("| %s | %v | %d | %.4f | %.3f | %.2f | %.2f | %d | %d | %d | %+.3f %% |", filepath.Base(kind), v.encoding, len(got.splices)+1,
		totalSNR(p, many)-totalSNR(p, one), -sum/float64(len(near)), -slices.Max(near), spread, got.alike, len(got.splices)-got.alike, got.in,
		100*float64(got.bytes()-serial.bytes())/float64(serial.bytes()))
}

const qualityHead = `| sound | encoding | chunks | whole, dB | near splices: mean, dB | worst, dB | elsewhere, 99.9 %, dB | alike | least lost | unspliced | size |
|---|---|---|---|---|---|---|---|---|---|---|`

// BenchmarkQuality measures what splices cost, on longer sound than the tests have,
// with chunks of ten seconds, and prints a Markdown table. `make bench-quality` runs it.
func BenchmarkQuality(b *testing.B) {
	kinds := []string{"music", "mix", "speech"}
	if os.Getenv("MP3LATHE_CORPUS") != "" {
		kinds = append(kinds, "corpus/ordinary/bbb_596s_heaac_remuxed_faststart.mp4")
	}
	for b.Loop() {
		fmt.Printf("Warm-up as for the bit rate, window %d frames; + is better than one encoder.\n\n%s\n", spliceWindow, qualityHead)
		for _, kind := range kinds {
			for _, e := range []Encoding{CBR(32), CBR(64), CBR(128), CBR(192), VBR(0), VBR(2), VBR(4), ABR(160)} {
				v := encoderConfig{e, 44100, 2, astiav.SampleFormatFltp}
				p := qualitySound(b, kind, v.rate, 120)
				serial := encodeSerial(b, v, p)
				fmt.Println(qualityRow(b, kind, p, v, serial, play(b, serial.file(b, v, len(p[0])), 2), 392))
			}
		}
		fmt.Println()
	}
}

package transcode

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/asticode/go-astiav"

	"github.com/mp3lathe/mp3lathe/transcode/internal/mp3"
)

// checkWhole checks what can be said of a stream without decoding it: it has as
// many frames and, in CBR, bytes as that of one encoder, and all main data is there.
func checkWhole(t testing.TB, v encoderConfig, samples int, got *encoded) {
	t.Helper()
	if want := lameFrames(int64(samples), blockSize(v.rate)); samples > 0 && int64(len(got.frames)) != want {
		t.Errorf("%d frames, want %d", len(got.frames), want)
	}
	var u mp3.Unpacker
	for i, f := range got.frames {
		if err := u.Add(f); err != nil {
			t.Fatalf("frame %d: %v", i, err)
		}
		h, _ := mp3.ParseHeader(f)
		if v.encoding.mode == modeCBR && h.Bitrate != v.encoding.value {
			t.Fatalf("frame %d has %d kb/s", i, h.Bitrate)
		}
	}
}

// TestLengths: streams that end anywhere near the places where something is decided:
// shorter than a frame, than the warm-up, than a chunk; about where a splice may be,
// and where it is not looked for any more.
func TestLengths(t *testing.T) {
	t.Parallel()
	const end = 130 // of the first of the chunks of 147
	if p := small(147); p.splice(1) != end || p.begin(1) != end-warmup {
		t.Fatal("the plan has changed")
	}
	lengths := []int{0, 1, 2, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65}
	for _, at := range []int{end, end + 147} {
		for _, by := range []int{-33, -32, -31, -17, -16, -15, -2, -1, 0, 1, 2, 15, 16, 17, 31, 32, 33, 34, 47, 48, 49, 63, 64, 65, 70} {
			lengths = append(lengths, at+by)
		}
	}
	for _, v := range []encoderConfig{mono, {encoding: VBR(5), rate: 32000, channels: 1, format: astiav.SampleFormatFltp}} {
		t.Run(fmt.Sprint(v.encoding), func(t *testing.T) {
			t.Parallel()
			size := blockSize(v.rate)
			sound := cachedSound(t, "music", v.rate, v.channels, 400*size)
			for i, frames := range lengths {
				// What is left for the last block is one sample more or less than a
				// whole one, or half of it.
				for k, odd := range []int{-1, 0, 1, size / 2} {
					samples := frames*size + odd
					if samples < 0 || frames > 3 && (i+k)%4 != 0 {
						continue
					}
					within(t, func(ctx context.Context) {
						p := sound.first(samples)
						got, err := engine{plan: small(147), most: 2}.run(ctx, v, p)
						if err != nil {
							t.Errorf("%d samples: %v", samples, err)
							return
						}
						serial := encodeSerial(t, v, p)
						if len(got.frames) != len(serial.frames) || v.encoding.mode == modeCBR && got.bytes() != serial.bytes() {
							t.Errorf("%d samples: %d frames of %d bytes, want %d of %d", samples, len(got.frames), got.bytes(), len(serial.frames), serial.bytes())
						}
						checkWhole(t, v, samples, got)
						if len(got.splices) == 0 && !slices.EqualFunc(got.frames, relay(t, serial).frames, slices.Equal) {
							t.Errorf("%d samples: no splice, and not what one encoder makes", samples)
						}
						if i%8 == 0 && frames > 10 { // or ffmpeg is not sure what it is
							checkDecoders(t, got.file(t, v, samples), v.channels, samples)
						}
					})
				}
			}
		})
	}
}

// TestPromisedLength: the index may promise more or less than there is.
func TestPromisedLength(t *testing.T) {
	t.Parallel()
	sound := cachedSound(t, "music", mono.rate, 1, 800*576)
	serial := encodeSerial(t, mono, sound)
	for _, p := range []plan{
		{frames: 300, chunks: 2, warmup: warmup}, {frames: 1600, chunks: 4, warmup: warmup, whole: true}, {frames: 8000, chunks: 12, warmup: warmup},
		planFor(800, mono), planFor(3000, mono), planFor(601, mono), planFor(-1, mono), planFor(1<<40, mono),
	} {
		for _, most := range []int{0, 2} {
			within(t, func(ctx context.Context) {
				got, err := engine{plan: p, most: most}.run(ctx, mono, sound)
				if err != nil {
					t.Error(err)
					return
				}
				checkStreams(t, mono, serial, got)
				checkWhole(t, mono, 800*576, got)
			})
		}
	}
}

// TestPlan: whatever the length, encoders begin at multiples of the padding's period,
// in order, and the chunks are long enough for what the engine does at their ends, and
// no longer than there is memory for.
func TestPlan(t *testing.T) {
	t.Parallel()
	for _, frames := range []int64{-1, 600, 601, 613, 700, 1599, 1600, 1601, 3000, 7999, 8000, 8001, 23519, 23520, 23521, 100_000, 1_000_000, 1 << 31, 1 << 40} {
		p := planFor(frames, mono)
		if p.serial() {
			t.Fatalf("%d frames are left to one encoder", frames)
		}
		for chunk := int64(1); chunk < min(3*p.chunks, 2000); chunk++ {
			begin, length := p.begin(chunk), p.splice(chunk+1)-p.splice(chunk)
			if begin%paddingPeriod != 0 || begin <= p.begin(chunk-1) || p.splice(chunk) != begin+p.warmup {
				t.Fatalf("%d frames: chunk %d begins at %d", frames, chunk, begin)
			}
			if length < 250 || length > longestChunk+2*paddingPeriod+surplus {
				t.Fatalf("%d frames: chunk %d has %d", frames, chunk, length)
			}
		}
	}
	for _, frames := range []int64{0, 1, 599} {
		if !planFor(frames, mono).serial() {
			t.Errorf("%d frames are not left to one encoder", frames)
		}
	}
}

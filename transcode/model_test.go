package transcode

import (
	"testing"

	"github.com/mp3lathe/mp3lathe/bench/model"
)

// TestModel: the bench's model, which predicts what more processors give, cuts as
// this package does.
func TestModel(t *testing.T) {
	t.Parallel()
	for frames := int64(0); frames < 400_000; frames += 1 + frames/100 {
		got, want := model.PlanFor(frames), planFor(frames, encoderConfig{encoding: VBR(2), rate: 44100, channels: 2})
		if got.Frames != want.frames || got.Chunks != want.chunks {
			t.Fatalf("%d frames: the model has %+v, want %+v", frames, got, want)
		}
		for chunk := range want.chunks {
			if got.Begin(chunk) != want.begin(chunk) || got.Splice(chunk) != want.splice(chunk) {
				t.Fatalf("%d frames: the model has chunk %d at %d and %d, want %d and %d", frames, chunk,
					got.Begin(chunk), got.Splice(chunk), want.begin(chunk), want.splice(chunk))
			}
		}
	}
}

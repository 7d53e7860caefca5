package cage

import (
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/transcode"
)

// TestStageTimes: a child's word about its times counts as far as it can be true, and of
// what the parent knows by itself not at all.
func TestStageTimes(t *testing.T) {
	t.Parallel()
	s := &session{began: time.Now().Add(-time.Minute), reading: time.Second, writing: 2 * time.Second}
	honest := transcode.StageTimes{Read: 1, Write: 1, Decode: 10 * time.Second, Encode: 50 * time.Second}
	want := transcode.StageTimes{Read: time.Second, Write: 2 * time.Second, Decode: 10 * time.Second, Encode: 50 * time.Second}
	if got := s.stages(honest); got != want {
		t.Errorf("%+v", got)
	}
	for _, lie := range []time.Duration{math.MinInt64, -1, math.MaxInt64} {
		got := s.stages(transcode.StageTimes{Read: lie, Write: lie, Decode: lie, Encode: lie})
		most := 61 * time.Second
		if got.Read != want.Read || got.Write != want.Write || min(got.Decode, got.Encode) < 0 || got.Decode > most || got.Encode > most*time.Duration(runtime.GOMAXPROCS(0)) {
			t.Errorf("it says %v: %+v", lie, got)
		}
	}
}

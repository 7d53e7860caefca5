package transcode_test

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/transcode"
)

// slow is used slowly, and counts the time.
type slow struct{ took time.Duration }

func (s *slow) use() func() {
	began := time.Now()
	time.Sleep(time.Millisecond)
	return func() { s.took += time.Since(began) }
}

type slowSource struct {
	slow
	*bytes.Reader
}

func (s *slowSource) Read(p []byte) (int, error) {
	defer s.use()()
	return s.Reader.Read(p)
}

type slowSink struct{ slow }

func (s *slowSink) Write(p []byte) (int, error) {
	defer s.use()()
	return len(p), nil
}

// TestStageTimes: what source and destination take is told as theirs, and what is told
// fits into the time that the conversion took.
func TestStageTimes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file   string
		copied bool
	}{{"melody.mp4", false}, {"media/mp3-cbr.mp4", true}} {
		data, err := os.ReadFile("../testdata/" + c.file)
		if err != nil {
			t.Fatal(err)
		}
		for _, parallelism := range []int{1, 2} {
			src, dst := &slowSource{Reader: bytes.NewReader(data)}, &slowSink{}
			r, err := transcode.Convert(context.Background(), dst, src, &transcode.Options{Parallelism: parallelism})
			if err != nil {
				t.Fatal(err)
			}
			s := r.Stages
			if s.Read < src.took || s.Write < dst.took {
				t.Errorf("%s: read %v of at least %v, wrote %v of at least %v", c.file, s.Read, src.took, s.Write, dst.took)
			}
			if copied := s.Decode == 0 && s.Encode == 0; copied != c.copied || r.Settings.Copied != c.copied {
				t.Errorf("%s: copied: %v, decoded for %v, encoded for %v", c.file, r.Settings.Copied, s.Decode, s.Encode)
			}
			if !c.copied && min(s.Decode, s.Encode) <= 0 {
				t.Errorf("%s: decoded for %v, encoded for %v", c.file, s.Decode, s.Encode)
			}
			if sum := s.Read + s.Decode + s.Write; sum > r.WallTime || parallelism == 1 && sum+s.Encode > r.WallTime {
				t.Errorf("%s: %+v in %v", c.file, s, r.WallTime)
			}
		}
	}
}

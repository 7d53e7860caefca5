package transcode

import (
	"bytes"
	"os"
	"testing"
)

// TestParallelDeterministic: the bytes depend on the source and the options, not
// on the number of encoders.
func TestParallelDeterministic(t *testing.T) {
	src, err := os.ReadFile("../testdata/melody.mp4")
	if err != nil {
		t.Fatal(err)
	}
	var first []byte
	for _, n := range []int{2, 3, 7} {
		var out bytes.Buffer
		if _, err := Convert(t.Context(), &out, bytes.NewReader(src), &Options{Parallelism: n}); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = out.Bytes()
		} else if !bytes.Equal(first, out.Bytes()) {
			t.Errorf("%d encoders make other bytes than 2", n)
		}
	}
}

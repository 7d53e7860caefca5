package transcode

import (
	"bytes"
	"io"
	"testing"
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

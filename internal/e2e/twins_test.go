package e2e

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/client"
)

// TestSameUpload: what is uploaded again and again is converted once, and its owner gets
// one mail; after that it is there at once.
func TestSameUpload(t *testing.T) {
	t.Parallel()
	s := embedded(t, t.TempDir(), "--concurrency", "2")
	anna, eve := s.user(t, "anna@example.org"), s.user(t, "eve@example.org")
	video, err := os.ReadFile(filepath.Join("..", "..", "testdata", "melody.mp4"))
	must(t, err)
	jobs := make([]client.Job, 8)
	var wg sync.WaitGroup
	for i := range jobs {
		upload := anna.Upload
		if i%2 == 1 {
			upload = anna.UploadForm
		}
		wg.Go(func() {
			j, err := upload(t.Context(), "melody.mp4", newReader(video), nil)
			if err != nil {
				t.Error(err)
			}
			jobs[i] = j
		})
	}
	wg.Wait()
	for _, j := range jobs {
		if j.ID != jobs[0].ID {
			t.Fatalf("%+v and %+v", j, jobs[0])
		}
	}
	done, err := anna.Follow(within(t, time.Minute), jobs[0].ID, nil)
	if err != nil || done.State != "succeeded" || done.Attempt != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	again, err := anna.Upload(t.Context(), "melody.mp4", newReader(video), nil)
	if err != nil || again.ID != done.ID || again.State != "succeeded" || !again.Duplicate {
		t.Errorf("%+v, %v", again, err)
	}
	mp3, err := readAll(anna.Audio(t.Context(), again.ID))
	must(t, err)
	hers, err := eve.Upload(t.Context(), "melody.mp4", newReader(video), nil)
	if err != nil || hers.ID == done.ID || hers.Duplicate {
		t.Errorf("%+v, %v", hers, err)
	}
	if hers, err = eve.Follow(within(t, time.Minute), hers.ID, nil); err != nil || hers.State != "succeeded" {
		t.Errorf("%+v, %v", hers, err)
	}
	// Of a job that is removed before, nobody is told.
	eventually(t, time.Minute, "two mails", func() bool { return len(s.jobMails()) == 2 })
	// Nobody's removal takes away another's.
	must(t, anna.Delete(t.Context(), done.ID))
	if b, err := readAll(eve.Audio(t.Context(), hers.ID)); err != nil || !bytes.Equal(b, mp3) {
		t.Errorf("%d bytes, want %d: %v", len(b), len(mp3), err)
	}
	if _, err := anna.Get(t.Context(), done.ID); err == nil || err.(*client.Error).Status != http.StatusNotFound {
		t.Errorf("deleted: %v", err)
	}
	s.quiet(t)
}

package e2e

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/client"
)

// TestRestart stops the system in the middle of its work, once in order and once
// by force: what was accepted is done after the restart, queued jobs included, and
// accounts and results are there.
func TestRestart(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(*testing.T, *service){
		"ordered": func(t *testing.T, p *service) { p.stop(t) },
		"killed":  func(_ *testing.T, p *service) { p.kill() },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			// One at a time and little patience, so that most still wait at the end. They
			// must not wait for --sweep-stale.
			args := []string{"--concurrency", "1", "--lease", "2s", "--notice-lease", "10s", "--sweep-stale", "10m", "--grace", "1ms"}
			s := embedded(t, dir, args...)
			c := s.user(t, "anna@example.org")
			video, err := os.ReadFile(filepath.Join("..", "..", "testdata", "waltz.m4a"))
			must(t, err)
			var ids []string
			for range 12 {
				j, err := c.Upload(t.Context(), "waltz.m4a", newReader(video), map[string][]string{"fresh": {"true"}})
				must(t, err)
				ids = append(ids, j.ID)
			}
			eventually(t, time.Minute, "the first is done", func() bool {
				j, err := c.Get(t.Context(), ids[0])
				must(t, err)
				return j.Done()
			})
			stop(t, s.services[0])
			if name == "killed" {
				// It had no time to take its address back.
				must(t, os.Remove(filepath.Join(dir, "address")))
				s.services[0].forget()
			}

			s = embedded(t, dir, args...)
			c = &client.Client{Base: s.url}
			must(t, c.Login(t.Context(), "anna@example.org", password))
			for _, id := range ids {
				j, err := c.Follow(within(t, time.Minute), id, nil)
				must(t, err)
				if j.State != "succeeded" {
					t.Errorf("%s ended as %s: %+v", id, j.State, j.Failure)
					continue
				}
				if b, err := readAll(c.Audio(t.Context(), id)); err != nil || int64(len(b)) != j.Result.Bytes {
					t.Errorf("%s: %d bytes, want %d: %v", id, len(b), j.Result.Bytes, err)
				}
			}
			eventually(t, time.Minute, "a mail for each", func() bool { return len(s.jobMails()) >= len(ids) })
			s.services[0].stop(t)
		})
	}
}

// TestOneAtATime: a second process must not serve from the same folder.
func TestOneAtATime(t *testing.T) {
	dir := t.TempDir()
	embedded(t, dir)
	second := run(t, "mp3lathe", nil, "serve", "--data", dir, "--listen", "127.0.0.1:0")
	<-second.done
	second.forget()
	if code := second.cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("the second one ended with %d: %s", code, second.out)
	}
}

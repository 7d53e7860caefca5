package e2e

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/internal/client"
)

// TestRecovery: with the settings as they are by default, the job of a worker that is
// killed runs again within 45 s, and what a wiped Redis has forgotten is begun within 30.
func TestRecovery(t *testing.T) {
	t.Parallel()
	c := newChaos(t)
	ctx := within(t, 5*time.Minute)
	upload := func() string {
		p := &promise{name: "long.mp4", file: c.long.file, codes: []string{""}, key: uuid.NewString()}
		must(t, p.upload(ctx, c.base, c.user.Token))
		return p.id
	}
	get := func(id string) client.Job {
		j, err := c.user.Get(ctx, id)
		must(t, err)
		return j
	}
	c.nodes["fast"].kill()
	id := upload()
	eventually(t, time.Minute, "a worker has begun", func() bool { return get(id).State == "running" })
	killed := time.Now()
	c.nodes["worker"].kill()
	c.nodes["fast"].start()
	eventually(t, time.Minute, "another worker has begun", func() bool { j := get(id); return j.Attempt == 2 })
	if took := time.Since(killed); took > 45*time.Second {
		t.Errorf("the job of a killed worker was begun again after %v", took)
	} else {
		t.Logf("the job of a killed worker was begun again after %v", took.Round(time.Second))
	}
	eventually(t, time.Minute, "it is done", func() bool { return get(id).State == "succeeded" })

	c.nodes["fast"].kill()
	var ids []string
	for range 3 {
		ids = append(ids, upload())
	}
	must(t, c.redis.Wipe(ctx))
	wiped := time.Now()
	c.nodes["worker"].start()
	for _, id := range ids {
		eventually(t, time.Minute, "a forgotten job has begun", func() bool { return get(id).Attempt >= 1 })
	}
	if took := time.Since(wiped); took > 30*time.Second {
		t.Errorf("what a wiped Redis had forgotten was begun after %v", took)
	} else {
		t.Logf("what a wiped Redis had forgotten was begun after %v", took.Round(time.Second))
	}
}

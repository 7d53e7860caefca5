package job

import (
	"fmt"
	"testing"
	"time"
)

func TestTwin(t *testing.T) {
	t.Parallel()
	of := func(change func(*Job), set ...string) string {
		j := Job{ID: "a", Owner: "ada", FileName: "a.mp4", NotifyTo: "ada@example.org", SourceBytes: 7, SourceSHA256: "ab"}
		for i := 0; i < len(set); i += 2 {
			if err := j.Settings.Set(set[i], set[i+1]); err != nil {
				t.Fatal(err)
			}
		}
		if change != nil {
			change(&j)
		}
		return j.Twin()
	}
	plain := of(nil)
	if len(plain) != 64 {
		t.Errorf("%q", plain)
	}
	// This must not change, or what is in a database is not found any more.
	if want := "02ba904d54587c6e9c8eb73bc5606d6dd6c2f6d78fed020f078384dee6051a94"; plain != want {
		t.Errorf("%s, and was %s", plain, want)
	}
	for what, same := range map[string]string{
		"name, mail, time": of(func(j *Job) { j.ID, j.FileName, j.NotifyTo, j.Created, j.Attempt = "b", "b", "", time.Now(), 3 }),
		"the default":      of(nil, "vbr", "2"),
		"keep":             of(nil, "channels", "keep", "no-tags", "false"),
	} {
		if same != plain {
			t.Errorf("%s makes a difference", what)
		}
	}
	if of(nil, "tag", "genre=a", "title", "b", "start", "1:00") != of(nil, "start", "60", "title", "b", "tag", "genre=a") {
		t.Error("the order makes a difference")
	}
	seen := map[string]string{plain: "nothing"}
	differ := func(what, twin string) {
		t.Helper()
		if other, ok := seen[twin]; ok {
			t.Errorf("%s is the same as %s", what, other)
		}
		seen[twin] = what
	}
	differ("owner", of(func(j *Job) { j.Owner = "eve" }))
	differ("bytes", of(func(j *Job) { j.SourceSHA256 = "ac" }))
	differ("keep", of(func(j *Job) { j.Keep = time.Hour }))
	values := map[string]string{
		"bitrate": "192", "vbr": "4", "abr": "100", "rate": "44100", "channels": "mono", "track": "2", "lang": "de", "start": "1", "end": "2",
		"duration": "3", "max-duration": "none", "allow-partial": "true", "title": "a", "artist": "a", "album": "a", "tag": "genre=a",
		"no-tags": "true", "no-cover": "true", "id3v24": "true",
	}
	for _, name := range SettingNames() {
		value, ok := values[name]
		if !ok {
			t.Errorf("no value for %s; write one", name)
			continue
		}
		differ(fmt.Sprint(name, "=", value), of(nil, name, value))
	}
}

package worker_test

import (
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/transcode"
	"github.com/mp3lathe/mp3lathe/worker"
)

func maybe[T any](t *rapid.T, name string, g *rapid.Generator[T]) (v T) {
	if rapid.Bool().Draw(t, name+" is set") {
		v = g.Draw(t, name)
	}
	return v
}

// someSettings draws settings near and beyond all bounds. At most one of the three
// encodings is set, since transcode has one field for them.
func someSettings(t *rapid.T) job.Settings {
	duration := rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.IntRange(-2, 5).Draw(t, "seconds")) * time.Second
	})
	s := job.Settings{
		Rate:         maybe(t, "rate", rapid.OneOf(rapid.SampledFrom(job.SampleRates()), rapid.IntRange(-1, 50000))),
		Channels:     rapid.IntRange(-1, 3).Draw(t, "channels"),
		Track:        maybe(t, "track", rapid.IntRange(-1, 3)),
		Lang:         maybe(t, "lang", rapid.SampledFrom([]string{"de", "en-GB"})),
		Start:        maybe(t, "start", duration),
		End:          maybe(t, "end", duration),
		Duration:     maybe(t, "duration", duration),
		MaxDuration:  maybe(t, "max-duration", duration),
		AllowPartial: rapid.Bool().Draw(t, "allow-partial"),
		NoTags:       rapid.Bool().Draw(t, "no-tags"),
		NoCover:      rapid.Bool().Draw(t, "no-cover"),
		ID3v24:       rapid.Bool().Draw(t, "id3v24"),
	}
	kbps := rapid.OneOf(rapid.SampledFrom(job.Bitrates()), rapid.IntRange(-1, 330))
	switch rapid.IntRange(0, 3).Draw(t, "encoding") {
	case 1:
		s.Bitrate = kbps.Draw(t, "bitrate")
	case 2:
		q := rapid.IntRange(-1, 10).Draw(t, "vbr")
		s.VBR = &q
	case 3:
		s.ABR = kbps.Draw(t, "abr")
	}
	return s
}

// TestOptionsValidate: the gateway, which does not link transcode, refuses what
// transcode refuses, and nothing else.
func TestOptionsValidate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := someSettings(t)
		o := worker.Options(s)
		ours, theirs := s.Validate(), o.Validate()
		if (ours == nil) != (theirs == nil) {
			t.Fatalf("job says %v, transcode says %v", ours, theirs)
		}
	})
}

// TestOptions: every setting reaches its option.
func TestOptions(t *testing.T) {
	t.Parallel()
	var s job.Settings
	for _, set := range [][2]string{
		{"vbr", "0"}, {"rate", "22050"}, {"channels", "mono"}, {"track", "2"}, {"lang", "de"},
		{"start", "1"}, {"end", "3"}, {"duration", "4"}, {"max-duration", "5"}, {"allow-partial", ""},
		{"no-tags", ""}, {"no-cover", ""}, {"id3v24", ""},
	} {
		if err := s.Set(set[0], set[1]); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range job.TagNames() {
		if err := s.Set("tag", name+"=the "+name); err != nil {
			t.Fatal(err)
		}
	}
	want := transcode.Options{
		Encoding: transcode.VBR(0), SampleRate: 22050, Channels: transcode.Mono, Track: 2, Language: "de",
		Start: time.Second, End: 3 * time.Second, Duration: 4 * time.Second, NoTags: true, NoCover: true,
		ID3: transcode.ID3v24, AllowPartial: true, Limits: transcode.Limits{Duration: 5 * time.Second},
		Tags: transcode.Tags{
			Title: "the title", Artist: "the artist", Album: "the album", AlbumArtist: "the album_artist",
			Composer: "the composer", Date: "the date", Track: "the track", Disc: "the disc", Genre: "the genre",
			Comment: "the comment", Copyright: "the copyright", Grouping: "the grouping", Lyrics: "the lyrics",
			Description: "the description",
		},
	}
	encodings := gocmp.Comparer(func(a, b transcode.Encoding) bool { return a == b })
	if d := gocmp.Diff(want, worker.Options(s), encodings); d != "" {
		t.Errorf("want -, got +\n%s", d)
	}
	for _, c := range []struct {
		s    job.Settings
		want transcode.Encoding
	}{
		{job.Settings{}, transcode.Encoding{}},
		{job.Settings{Bitrate: 192}, transcode.CBR(192)},
		{job.Settings{ABR: 100}, transcode.ABR(100)},
	} {
		if got := worker.Options(c.s).Encoding; got != c.want {
			t.Errorf("%+v: %v, want %v", c.s, got, c.want)
		}
	}
}

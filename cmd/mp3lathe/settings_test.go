package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/transcode"
	"github.com/mp3lathe/mp3lathe/worker"
)

// Package job imports the standard library only, and says a second time what
// package transcode says. Here is where the two meet.

func TestListsAgree(t *testing.T) {
	t.Parallel()
	if !slices.Equal(job.Bitrates(), transcode.Bitrates()) {
		t.Errorf("bit rates %v and %v", job.Bitrates(), transcode.Bitrates())
	}
	if !slices.Equal(job.SampleRates(), transcode.SampleRates()) {
		t.Errorf("sample rates %v and %v", job.SampleRates(), transcode.SampleRates())
	}
	// Every tag that can be set arrives, and probe shows it by the same name.
	var s job.Settings
	for _, name := range job.TagNames() {
		if err := s.Set("tag", name+"=text of "+name); err != nil {
			t.Fatal(err)
		}
	}
	o := worker.Options(s)
	var names []string
	for _, f := range tagFields(&o.Tags) {
		names = append(names, f.name)
		if *f.value != "text of "+f.name {
			t.Errorf("the tag %s is %q", f.name, *f.value)
		}
	}
	if !slices.Equal(names, job.TagNames()) {
		t.Errorf("tags %v and %v", names, job.TagNames())
	}
}

// What the service refuses when a file comes in, and what the conversion refuses
// later, is the same.
func TestValidationAgrees(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		number := func(name string, least, most int) int {
			return rapid.OneOf(rapid.Just(0), rapid.IntRange(least, most)).Draw(t, name)
		}
		length := func(name string) time.Duration { return time.Duration(number(name, -2, 3)) }
		s := job.Settings{
			Rate:     rapid.SampledFrom(append(job.SampleRates(), 0, 0, 0, -1, 44000, 96000)).Draw(t, "rate"),
			Channels: number("channels", -1, 3), Track: number("track", -1, 2),
			Lang:  rapid.SampledFrom([]string{"", "", "de", "en-GB"}).Draw(t, "lang"),
			Start: length("start"), End: length("end"), Duration: length("duration"), MaxDuration: length("max-duration"),
			ID3v24: rapid.Bool().Draw(t, "id3v24"),
		}
		switch rapid.IntRange(0, 3).Draw(t, "mode") {
		case 1:
			s.Bitrate = rapid.SampledFrom(append(job.Bitrates(), -1, 1, 100, 321)).Draw(t, "bitrate")
		case 2:
			vbr := rapid.IntRange(-1, 11).Draw(t, "vbr")
			s.VBR = &vbr
		case 3:
			s.ABR = rapid.IntRange(-1, 330).Draw(t, "abr")
		}
		o := worker.Options(s)
		if ours, theirs := s.Validate(), o.Validate(); (ours == nil) != (theirs == nil) {
			t.Fatalf("%+v: the service says %v, the conversion %v", s, ours, theirs)
		}
	})
}

// A flag of the command and the setting of its name mean the same.
func TestFlagsAreSettings(t *testing.T) {
	t.Parallel()
	flags := map[string]bool{}
	for _, c := range []struct{ name, value string }{
		{"bitrate", "192k"}, {"vbr", "0"}, {"abr", "128"}, {"rate", "22.05k"}, {"channels", "mono"}, {"track", "2"}, {"lang", "de"},
		{"start", "1:30"}, {"end", "1:02:03.5"}, {"duration", "45s"}, {"max-duration", "none"}, {"max-duration", "2h"},
		{"title", "A = B"}, {"artist", "夢"}, {"album", "C"}, {"tag", "Album-Artist=D, E"},
		{"allow-partial", "true"}, {"no-tags", "true"}, {"no-cover", "true"}, {"id3v24", "true"},
	} {
		flags[c.name] = true
		var grammar cli
		parser, err := newParser(&grammar, &stdio{out: &stickyWriter{}}, func(int) {})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse([]string{"convert", "a.mp4", "--" + c.name + "=" + c.value}); err != nil {
			t.Errorf("--%s=%s: %v", c.name, c.value, err)
			continue
		}
		var want job.Settings
		if err := want.Set(c.name, c.value); err != nil {
			t.Errorf("%s=%s: %v", c.name, c.value, err)
		}
		got, err := grammar.Convert.settings()
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("--%s=%s: %v, -want +got\n%s", c.name, c.value, err, d)
		}
	}
	for _, name := range job.SettingNames() {
		if !flags[name] {
			t.Errorf("no flag for the setting %s is tried", name)
		}
	}
}

func TestTagWords(t *testing.T) {
	t.Parallel()
	names := strings.Join(job.TagNames(), ", ")
	for given, want := range map[string]string{
		"title":       `--tag "title": want NAME=TEXT, such as --tag genre=Jazz`,
		"title=":      "the tag title has no value; --no-tags leaves out the source's tags",
		"mood=happy":  `no tag is called "mood"; there are ` + names,
		"comment=two": "the tag comment is given twice",
	} {
		s := job.Settings{Tags: map[string]string{"comment": "one"}}
		if err := setTag(&s, given); err == nil || err.Error() != want {
			t.Errorf("--tag %s: %v, want %s", given, err, want)
		}
	}
	// Text of any length, and from a terminal that isn't UTF-8.
	lyrics := strings.Repeat("la ", 10_000)
	s := job.Settings{}
	for _, given := range []string{"lyrics=" + lyrics, "title=K\xf6ln"} {
		if err := setTag(&s, given); err != nil {
			t.Error(err)
		}
	}
	if s.Tags["lyrics"] != lyrics || s.Tags["title"] != "K\ufffdln" {
		t.Errorf("the title is %q, the lyrics have %d bytes", s.Tags["title"], len(s.Tags["lyrics"]))
	}
}

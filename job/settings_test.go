package job

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func ptr[T any](v T) *T { return &v }

// examples has, for every name that Set knows, values and what they make of empty
// settings, and values that are refused.
var examples = map[string]struct {
	good map[string]Settings
	bad  []string
}{
	"bitrate":       {map[string]Settings{"192": {Bitrate: 192}, "64k": {Bitrate: 64}}, []string{"", "loud", "0", "-1", "1.5"}},
	"vbr":           {map[string]Settings{"0": {VBR: ptr(0)}, "9": {VBR: ptr(9)}}, []string{"", "best", "1.5"}},
	"abr":           {map[string]Settings{"128kbps": {ABR: 128}}, []string{"", "0", "x"}},
	"rate":          {map[string]Settings{"44.1k": {Rate: 44100}}, []string{"", "44.1", "-1"}},
	"channels":      {map[string]Settings{"mono": {Channels: 1}, "keep": {}, "2": {Channels: 2}}, []string{"", "3"}},
	"track":         {map[string]Settings{"2": {Track: 2}}, []string{"", "0", "-1", "one", "2x"}},
	"lang":          {map[string]Settings{"de": {Lang: "de"}, "": {}}, []string{"\xff"}},
	"start":         {map[string]Settings{"1:30": {Start: 90 * time.Second}}, []string{"", "-1", "1:99"}},
	"end":           {map[string]Settings{"62.5": {End: 62500 * time.Millisecond}}, []string{"", "end"}},
	"duration":      {map[string]Settings{"45s": {Duration: 45 * time.Second}}, []string{"", "none"}},
	"max-duration":  {map[string]Settings{"1h": {MaxDuration: time.Hour}, "none": {MaxDuration: -1}}, []string{"", "0", "-1"}},
	"allow-partial": {map[string]Settings{"true": {AllowPartial: true}, "on": {AllowPartial: true}, "": {AllowPartial: true}, "no": {}}, []string{"2", "x"}},
	"title":         {map[string]Settings{"A = B": {Tags: map[string]string{"title": "A = B"}}}, []string{"", "\xff"}},
	"artist":        {map[string]Settings{"夢": {Tags: map[string]string{"artist": "夢"}}}, []string{"", "a\xff"}},
	"album":         {map[string]Settings{" ": {Tags: map[string]string{"album": " "}}}, []string{""}},
	"tag": {map[string]Settings{
		"genre=Jazz, cool": {Tags: map[string]string{"genre": "Jazz, cool"}}, "Album-Artist=x=y": {Tags: map[string]string{"album_artist": "x=y"}},
	}, []string{"", "title", "title=", "=x", "mood=happy", "title=\xff"}},
	"no-tags":  {map[string]Settings{"1": {NoTags: true}}, []string{"x"}},
	"no-cover": {map[string]Settings{"yes": {NoCover: true}, "false": {}}, []string{"x"}},
	"id3v24":   {map[string]Settings{"on": {ID3v24: true}, "off": {}}, []string{"2.4"}},
}

func TestSet(t *testing.T) {
	t.Parallel()
	if names := slices.Sorted(maps.Keys(examples)); !slices.Equal(names, slices.Sorted(slices.Values(SettingNames()))) {
		t.Errorf("there are examples for %v", names)
	}
	for name, e := range examples {
		for value, want := range e.good {
			var s Settings
			if err := s.Set(name, value); err != nil {
				t.Errorf("%s=%s: %v", name, value, err)
			} else if d := cmp.Diff(want, s); d != "" {
				t.Errorf("%s=%s: -want +got\n%s", name, value, d)
			}
		}
		for _, value := range e.bad {
			// What is refused changes nothing, and says of which setting it is.
			before := Settings{Bitrate: 64, Track: 3, VBR: ptr(4), Lang: "fr", MaxDuration: 5, Tags: map[string]string{"comment": "x"}}
			s := before
			s.Tags = maps.Clone(before.Tags)
			err := s.Set(name, value)
			var serr *SettingError
			if !errors.As(err, &serr) || serr.Name != name || serr.Reason == "" || strings.HasSuffix(serr.Reason, ".") {
				t.Errorf("%s=%q: %v", name, value, err)
			}
			if d := cmp.Diff(before, s); d != "" {
				t.Errorf("%s=%q: -want +got\n%s", name, value, d)
			}
		}
	}
	for _, name := range []string{"", "Bitrate", "bit-rate", "tags", "comment", "cover", "bitrate "} {
		err := new(Settings).Set(name, "1")
		var serr *SettingError
		if !errors.As(err, &serr) || serr.Name != name || !strings.Contains(serr.Reason, "max-duration") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestSetAgain(t *testing.T) {
	t.Parallel()
	for name, e := range examples {
		for value, want := range e.good {
			var s Settings
			first, again := s.Set(name, value), s.Set(name, value)
			twice := again != nil && strings.Contains(again.Error(), "given twice")
			if isTag := len(want.Tags) > 0; first != nil || isTag != twice {
				t.Errorf("%s=%s twice: %v, %v", name, value, first, again)
			}
			if d := cmp.Diff(want, s); d != "" {
				t.Errorf("%s=%s twice: -want +got\n%s", name, value, d)
			}
		}
	}
	var s Settings
	for _, bitrate := range []string{"128", "192"} {
		if err := s.Set("bitrate", bitrate); err != nil {
			t.Fatal(err)
		}
	}
	if s.Bitrate != 192 {
		t.Errorf("the bit rate is %d", s.Bitrate)
	}
	// One tag by two ways is one tag.
	for _, tag := range []string{"title=x", "Title=y", "TITLE=x"} {
		s := Settings{}
		if err := s.Set("title", "x"); err != nil {
			t.Fatal(err)
		}
		if err := s.Set("tag", tag); err == nil || s.Tags["title"] != "x" {
			t.Errorf("tag=%s after a title: %v, %q", tag, err, s.Tags["title"])
		}
	}
	s = Settings{}
	for _, name := range TagNames() {
		if err := s.Set("tag", strings.ReplaceAll(strings.ToUpper(name), "_", "-")+"="+name); err != nil || s.Tags[name] != name {
			t.Errorf("%s: %v, %q", name, err, s.Tags[name])
		}
	}
}

// FuzzSet: nothing that comes in makes settings that their JSON doesn't keep.
func FuzzSet(f *testing.F) {
	for name, e := range examples {
		for value := range e.good {
			f.Add(name, value)
		}
		for _, value := range e.bad {
			f.Add(name, value)
		}
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		var s Settings
		err := s.Set(name, value)
		var serr *SettingError
		if err != nil && !errors.As(err, &serr) {
			t.Errorf("%q=%q: %v", name, value, err)
		}
		if err != nil && !cmp.Equal(s, Settings{}) {
			t.Errorf("%q=%q is refused and makes %+v", name, value, s)
		}
		if err := s.Validate(); err != nil && !errors.As(err, &serr) {
			t.Errorf("%q=%q: %v", name, value, err)
		}
		keeps(t, s)
	})
}

// keeps checks that the stores' JSON has all of the settings.
func keeps(t interface{ Fatalf(string, ...any) }, s Settings) {
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatalf("%+v: %v", s, err)
	}
	var back Settings
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	if d := cmp.Diff(s, back); d != "" {
		t.Fatalf("%s: -want +got\n%s", b, d)
	}
}

// anySettings draws settings, mostly good ones.
func anySettings(t *rapid.T) Settings {
	length := rapid.Map(rapid.Int64Range(-1, int64(100*time.Hour)), func(n int64) time.Duration { return time.Duration(n) })
	s := Settings{
		Rate:         rapid.SampledFrom(append(SampleRates(), 0, 0, 44000, -1)).Draw(t, "rate"),
		Channels:     rapid.IntRange(-1, 3).Draw(t, "channels"),
		Lang:         rapid.StringN(0, 40, -1).Draw(t, "lang"),
		Start:        length.Draw(t, "start"),
		MaxDuration:  length.Draw(t, "max-duration"),
		AllowPartial: rapid.Bool().Draw(t, "allow-partial"),
		NoTags:       rapid.Bool().Draw(t, "no-tags"),
		NoCover:      rapid.Bool().Draw(t, "no-cover"),
		ID3v24:       rapid.Bool().Draw(t, "id3v24"),
	}
	switch rapid.IntRange(0, 4).Draw(t, "mode") {
	case 1:
		s.Bitrate = rapid.SampledFrom(append(Bitrates(), 100, -1)).Draw(t, "bitrate")
	case 2:
		s.VBR = ptr(rapid.IntRange(-1, 10).Draw(t, "vbr"))
	case 3:
		s.ABR = rapid.IntRange(0, 330).Draw(t, "abr")
	case 4:
		s.Track = rapid.IntRange(-1, 3).Draw(t, "track")
		s.End, s.Duration = length.Draw(t, "end"), length.Draw(t, "duration")
	}
	if tags := rapid.MapOf(rapid.SampledFrom(TagNames()), rapid.String()).Draw(t, "tags"); len(tags) > 0 {
		s.Tags = tags
	}
	return s
}

func TestSettingsJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { keeps(t, anySettings(t)) })

	full := Settings{
		Bitrate: 192, VBR: ptr(0), ABR: 128, Rate: 44100, Channels: 1, Track: 2, Lang: "de", Start: time.Second, End: 2 * time.Second,
		Duration: 3 * time.Second, MaxDuration: -1, AllowPartial: true, Tags: map[string]string{"title": "x"}, NoTags: true, NoCover: true, ID3v24: true,
	}
	b, err := json.Marshal(full)
	if err != nil {
		t.Fatal(err)
	}
	// Rows that are older than this program have this form.
	const form = `{"bitrate":192,"vbr":0,"abr":128,"rate":44100,"channels":1,"track":2,"lang":"de","start":1000000000,"end":2000000000,` +
		`"duration":3000000000,"max-duration":-1,"allow-partial":true,"tags":{"title":"x"},"no-tags":true,"no-cover":true,"id3v24":true}`
	if string(b) != form {
		t.Errorf("the JSON is\n%s\nwant\n%s", b, form)
	}
	var keys map[string]any
	if err := json.Unmarshal(b, &keys); err != nil {
		t.Fatal(err)
	}
	for key := range keys {
		if key != "tags" && !slices.Contains(SettingNames(), key) {
			t.Errorf("%s is no name that Set knows", key)
		}
	}
	if b, err := json.Marshal(Settings{}); err != nil || string(b) != "{}" {
		t.Errorf("no settings are %s, %v", b, err)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxTag)
	for _, s := range []Settings{
		{}, {Bitrate: 320}, {VBR: ptr(0)}, {VBR: ptr(9)}, {ABR: 8}, {ABR: 320}, {Rate: 8000}, {Channels: 2}, {Track: 1}, {Lang: "de"},
		{Start: time.Hour}, {End: 1}, {Start: 1, End: 2}, {Start: 2, Duration: 1}, {MaxDuration: -1}, {Tags: map[string]string{"lyrics": long}},
	} {
		if err := s.Validate(); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
	for _, c := range []struct {
		name, reason string
		s            Settings
	}{
		{"bitrate", "one of", Settings{Bitrate: 192, VBR: ptr(0)}},
		{"bitrate", "one of", Settings{VBR: ptr(0), ABR: 128}},
		{"bitrate", "one of", Settings{Bitrate: 192, ABR: 128}},
		{"bitrate", "no constant bit rate of 100 kb/s", Settings{Bitrate: 100}},
		{"bitrate", "", Settings{Bitrate: -1}},
		{"vbr", "0 (best) to 9 (smallest)", Settings{VBR: ptr(10)}},
		{"vbr", "", Settings{VBR: ptr(-1)}},
		{"abr", "8 to 320", Settings{ABR: 7}},
		{"abr", "", Settings{ABR: 321}},
		{"rate", "no sample rate of 44000 Hz", Settings{Rate: 44000}},
		{"channels", "keep, mono or stereo", Settings{Channels: 3}},
		{"channels", "", Settings{Channels: -1}},
		{"track", "counted from 1", Settings{Track: -1}},
		{"track", "not both", Settings{Track: 1, Lang: "de"}},
		{"lang", "longer", Settings{Lang: strings.Repeat("x", maxLanguage+1)}},
		{"start", "before the beginning", Settings{Start: -1}},
		{"end", "before the beginning", Settings{End: -1}},
		{"duration", "negative", Settings{Duration: -1}},
		{"end", "not both", Settings{End: 1, Duration: 1}},
		{"end", "not after the start", Settings{Start: 2, End: 2}},
		{"tag", "the tag lyrics is longer than 4096 bytes", Settings{Tags: map[string]string{"lyrics": long + "x", "title": long + "x"}}},
		{"tag", `no tag is called "mood"`, Settings{Tags: map[string]string{"mood": "x"}}},
	} {
		err := c.s.Validate()
		var serr *SettingError
		if !errors.As(err, &serr) || serr.Name != c.name || !strings.Contains(serr.Reason, c.reason) {
			t.Errorf("%+v: %v, want %s: %s", c.s, err, c.name, c.reason)
		}
	}
}

func TestNamesAreCopies(t *testing.T) {
	t.Parallel()
	TagNames()[0], SettingNames()[0], Bitrates()[0], SampleRates()[0], States()[0], Codes()[0] = "x", "x", 1, 1, "x", "x"
	if TagNames()[0] != "title" || SettingNames()[0] != "bitrate" || Bitrates()[0] != 32 || SampleRates()[0] != 8000 ||
		States()[0] != Queued || Codes()[0] != NoAudio {
		t.Error("a caller can change the package's lists")
	}
	for _, list := range [][]int{Bitrates(), SampleRates()} {
		if !slices.IsSorted(list) {
			t.Errorf("%v is not ascending", list)
		}
	}
}

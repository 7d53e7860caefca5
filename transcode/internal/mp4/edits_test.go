package mp4

import (
	"errors"
	"math"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// bigRescale is Rescale by the book.
func bigRescale(v, num, den int64) int64 {
	n := new(big.Int).Mul(big.NewInt(v), big.NewInt(num))
	negative := n.Sign() < 0
	n.Abs(n)
	n.Add(n, big.NewInt(den/2))
	n.Div(n, big.NewInt(den))
	if most := big.NewInt(math.MaxInt64 / 2); n.Cmp(most) > 0 {
		n = most
	}
	if negative {
		n.Neg(n)
	}
	return n.Int64()
}

func TestRescale(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ v, num, den, want int64 }{
		{0, 1, 1, 0},
		{5, 1, 1, 5},
		{7, 44100, 1, 308700},
		{1, 1, 2, 1},
		{-1, 1, 2, -1},
		{1, 1, 3, 0},
		{1, 0, 3, 0},
		{1000, 44100, 1000, 44100},
		{math.MaxInt64, 1, 1, math.MaxInt64 / 2},
		{math.MaxInt64, math.MaxInt64, math.MaxInt64, math.MaxInt64 / 2},
		{math.MaxInt64 / 2, math.MaxInt64, math.MaxInt64, math.MaxInt64 / 2},
		{math.MaxInt64, math.MaxInt64, 1, math.MaxInt64 / 2},
		{math.MinInt64, 1, 1, -math.MaxInt64 / 2},
		{math.MinInt64, 1, 4, -1 << 61},
	} {
		if got := Rescale(tt.v, tt.num, tt.den); got != tt.want {
			t.Errorf("Rescale(%d, %d, %d) is %d, want %d", tt.v, tt.num, tt.den, got, tt.want)
		}
	}
	// Numbers of all lengths, small ones and powers of two more than others.
	number := func(least int64) *rapid.Generator[int64] {
		return rapid.OneOf(
			rapid.Int64Range(least, 100),
			rapid.Int64Range(least, math.MaxInt64),
			rapid.Custom(func(t *rapid.T) int64 {
				v := int64(1)<<rapid.IntRange(1, 62).Draw(t, "bit") + rapid.Int64Range(-2, 2).Draw(t, "near")
				return max(least, v)
			}),
		)
	}
	rapid.Check(t, func(t *rapid.T) {
		v := number(0).Draw(t, "v")
		if rapid.Bool().Draw(t, "negative") {
			v = -v
		}
		num, den := number(1).Draw(t, "num"), number(1).Draw(t, "den")
		if got, want := Rescale(v, num, den), bigRescale(v, num, den); got != want {
			t.Fatalf("Rescale is %d, want %d", got, want)
		}
	})
}

func TestTime(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		time    Time
		at      int64 // at 48 kHz
		seconds float64
	}{
		{Time{}, 0, 0},
		{Time{5, 0}, 0, 0},
		{Time{3, 1}, 144000, 3},
		{Time{1, 96000}, 1, 1.0 / 96000},
		{Time{1024, 44100}, 1115, 1024.0 / 44100},
	} {
		if at, s := tt.time.At(48000), tt.time.Seconds(); at != tt.at || s != tt.seconds {
			t.Errorf("%+v is %d samples, %v s", tt.time, at, s)
		}
	}
}

// presented makes a track with an edit list and says what it presents.
func presented(t rapid.TB, movie, media uint32, length int64, version byte, edits ...Edit) []Segment {
	t.Helper()
	file, _ := movieSpec{timescale: movie, tracks: []trackSpec{{id: 1, timescale: media, version: version, edits: edits}}}.build()
	track := mustOpen(t, file).Tracks[0]
	if !slices.Equal(track.Edits, edits) {
		t.Fatalf("the edit list is %v, want %v", track.Edits, edits)
	}
	return track.Presentation(length)
}

func TestPresentation(t *testing.T) {
	t.Parallel()
	toEnd := func(start int64) Segment { return Segment{Start: Time{start, 44100}} }
	for name, tt := range map[string]struct {
		movie  uint32
		length int64
		edits  []Edit
		want   []Segment
	}{
		"no edit list":            {1000, 44100, nil, []Segment{toEnd(0)}},
		"the whole":               {1000, 44100, []Edit{{1000, 0}}, []Segment{toEnd(0)}},
		"delay":                   {1000, 45124, []Edit{{1000, 1024}}, []Segment{toEnd(1024)}},
		"rounded down":            {1000, 44100 + 44, []Edit{{1000, 0}}, []Segment{toEnd(0)}},
		"a tick short":            {1000, 44100 + 45, []Edit{{1000, 0}}, []Segment{{Start: Time{0, 44100}, Length: Time{1000, 1000}}}},
		"rounded up":              {1000, 44100 - 44, []Edit{{1000, 0}}, []Segment{toEnd(0)}},
		"too long":                {1000, 44100, []Edit{{500000, 0}}, []Segment{toEnd(0)}},
		"far too long":            {1000, 44100, []Edit{{1<<32 - 1, 0}}, []Segment{toEnd(0)}},
		"coarse":                  {1, 3*44100 + 44099, []Edit{{3, 0}}, []Segment{toEnd(0)}},
		"coarse, short":           {1, 4 * 44100, []Edit{{3, 0}}, []Segment{{Start: Time{0, 44100}, Length: Time{3, 1}}}},
		"exact":                   {44100, 44100, []Edit{{44100, 0}}, []Segment{toEnd(0)}},
		"exact, a sample less":    {44100, 44100, []Edit{{44099, 0}}, []Segment{{Start: Time{0, 44100}, Length: Time{44099, 44100}}}},
		"finer, a sample less":    {88200, 44100, []Edit{{88198, 0}}, []Segment{{Start: Time{0, 44100}, Length: Time{88198, 88200}}}},
		"finer, half a sample":    {88200, 44100, []Edit{{88199, 0}}, []Segment{{Start: Time{0, 44100}, Length: Time{88199, 88200}}}},
		"duration 0":              {1000, 44100, []Edit{{0, 1024}}, []Segment{toEnd(1024)}},
		"duration 0, unknown":     {1000, -1, []Edit{{0, 1024}}, []Segment{toEnd(1024)}},
		"unknown length":          {1000, -1, []Edit{{1000, 1024}}, []Segment{{Start: Time{1024, 44100}, Length: Time{1000, 1000}}}},
		"empty edit":              {1000, 44100, []Edit{{250, -1}, {1000, 0}}, []Segment{{Silence: true, Length: Time{250, 1000}}, toEnd(0)}},
		"empty edit, duration 0":  {1000, 44100, []Edit{{0, -1}, {1000, 0}}, []Segment{toEnd(0)}},
		"only an empty edit":      {1000, 44100, []Edit{{250, -1}}, []Segment{{Silence: true, Length: Time{250, 1000}}}},
		"two":                     {1000, 44100, []Edit{{100, 22050}, {200, 0}}, []Segment{{Start: Time{22050, 44100}, Length: Time{100, 1000}}, {Start: Time{0, 44100}, Length: Time{200, 1000}}}},
		"past the end":            {1000, 44100, []Edit{{100, 44100}, {100, 99999}}, nil},
		"past the end, unknown":   {1000, -1, []Edit{{100, 99999}}, []Segment{{Start: Time{99999, 44100}, Length: Time{100, 1000}}}},
		"of a media of no length": {1000, 0, []Edit{{100, 0}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for version := range byte(2) {
				if got := presented(t, tt.movie, 44100, tt.length, version, tt.edits...); !slices.Equal(got, tt.want) {
					t.Errorf("version %d: %+v, want %+v", version, got, tt.want)
				}
			}
		})
	}
	wide := Edit{1 << 40, 1 << 35}
	want := []Segment{{Start: Time{1 << 35, 44100}, Length: Time{1 << 40, 1000}}}
	if got := presented(t, 1000, 44100, -1, 1, wide); !slices.Equal(got, want) {
		t.Errorf("64 bits: %+v, want %+v", got, want)
	}
	longest := Edit{1<<64 - 1, 0}
	if got := presented(t, 1, 44100, 44100, 1, longest); !slices.Equal(got, []Segment{toEnd(0)}) {
		t.Errorf("the longest edit: %+v", got)
	}
	if got := presented(t, 1, 44100, -1, 1, longest); got[0].Length.Ticks < 1<<61 {
		t.Errorf("the longest edit of who knows what: %+v", got)
	}
}

// TestPresentationTolerance compares the rule for an edit's end with exact
// fractions: it ends with the media if that is less than one tick of the movie
// away, or before it.
func TestPresentationTolerance(t *testing.T) {
	t.Parallel()
	scale := rapid.OneOf(
		rapid.SampledFrom([]uint32{1, 2, 600, 1000, 44100, 48000, 90000, 1<<32 - 1}),
		rapid.Uint32Range(1, 1<<32-1))
	rapid.Check(t, func(t *rapid.T) {
		movie, media := scale.Draw(t, "movie"), scale.Draw(t, "media")
		start := rapid.Int64Range(0, 5000).Draw(t, "start")
		duration := rapid.OneOf(rapid.Uint64Range(1, 1<<32), rapid.Uint64Range(1, 1<<62-1)).Draw(t, "duration")
		// A media that ends near the edit.
		left := new(big.Int).Mul(new(big.Int).SetUint64(duration), big.NewInt(int64(media)))
		left.Div(left, big.NewInt(int64(movie)))
		tick := int64(media)/int64(movie) + 2
		left.Add(left, big.NewInt(rapid.Int64Range(-2*tick, 2*tick).Draw(t, "near")))
		if left.Sign() <= 0 || left.BitLen() > 61 {
			t.Skip("no such media")
		}
		// duration/movie + 1/movie > left/media
		lhs := new(big.Int).Mul(new(big.Int).SetUint64(duration+1), big.NewInt(int64(media)))
		toEnd := lhs.Cmp(new(big.Int).Mul(left, big.NewInt(int64(movie)))) > 0

		got := presented(t, movie, media, start+left.Int64(), 1, Edit{duration, start})
		want := Segment{Start: Time{start, media}}
		if !toEnd {
			want.Length = Time{int64(duration), movie}
		}
		if len(got) != 1 || got[0] != want {
			t.Fatalf("%+v, want %+v", got, want)
		}
	})
}

// TestEditLists reads edit lists that break their own format.
func TestEditLists(t *testing.T) {
	t.Parallel()
	list := func(version byte, parts ...any) []byte { return atom("edts", full("elst", version, 0, parts...)) }
	many := make([]byte, 12*(maxEdits+1))
	for name, tt := range map[string]struct {
		edts  []byte
		want  error
		edits []Edit
	}{
		"none":           {atom("edts"), nil, nil},
		"empty":          {list(0, 0), nil, nil},
		"before 0":       {list(0, 1, 5, int32(-2), 0x10000), nil, []Edit{{5, 0}}},
		"before 0, v1":   {list(1, 1, uint64(5), int64(-1<<63), 0x10000), nil, []Edit{{5, 0}}},
		"one too many":   {list(0, 2, 5, 0, 0x10000), ErrInvalid, nil},
		"2^32-1":         {list(0, uint32(0xffffffff), 5, 0, 0x10000), ErrInvalid, nil},
		"version 1":      {list(1, 1, 5, 0, 0x10000), ErrInvalid, nil},
		"no count":       {atom("edts", atom("elst", 0)), ErrInvalid, nil},
		"the most":       {list(0, maxEdits, many[12:]), nil, make([]Edit, maxEdits)},
		"more":           {list(0, maxEdits+1, many), ErrLimit, nil},
		"two, first one": {cat(list(0, 1, 5, 6, 0x10000), list(0, 1, 7, 8, 0x10000)), nil, []Edit{{5, 6}}},
		"two, second":    {cat(list(0, 0), list(0, 1, 7, 8, 0x10000)), nil, []Edit{{7, 8}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := movieSpec{tracks: []trackSpec{{id: 1, timescale: 44100}}}
			trak := m.tracks[0].trak(nil)
			m.tracks, m.more = nil, cat(atom("trak", trak[8:], tt.edts))
			file, _ := m.build()
			track := mustOpen(t, file).Tracks[0]
			if err := track.Check(); tt.want == nil && err != nil || !errors.Is(err, tt.want) {
				t.Fatalf("%v, want %v", err, tt.want)
			}
			if tt.want == nil && !slices.Equal(track.Edits, tt.edits) {
				t.Errorf("edits %v, want %v", track.Edits, tt.edits)
			}
			if tt.want != nil {
				if _, err := track.Samples(Packing{}); !errors.Is(err, tt.want) {
					t.Errorf("Samples gives %v", err)
				}
				if _, err := track.MediaTicks(); !errors.Is(err, tt.want) {
					t.Errorf("MediaTicks gives %v", err)
				}
			}
		})
	}
}

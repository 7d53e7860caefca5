package transcode

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/mp3lathe/mp3lathe/transcode/internal/mp4"
)

// probePackets is how many packets of a track are tried for a first frame.
const probePackets = 16

// probeAhead is the most that is read of the media in one piece then, as readAhead is
// for a conversion; the first packet is mostly enough.
const probeAhead = 16 << 10

// Probe describes a file of the MP4 family. It reads the index, and decodes each
// audio track up to its first frame to learn the real sample rate, channels and
// profile, which the sample entry may not tell (HE-AAC, AC-3). Errors are those of
// [Convert], but a file without audio is described all the same, and so are tracks
// that can't be converted.
func Probe(ctx context.Context, src io.ReadSeeker) (*Info, error) {
	s, err := newSource(ctx, src)
	if err != nil {
		return nil, fail("open", err)
	}
	info, err := probe(s, Limits{}.withDefaults())
	return info, fail("probe", err)
}

func probe(s *source, limits Limits) (*Info, error) {
	f, err := openFile(s, limits)
	if err != nil {
		return nil, err
	}
	info := &Info{
		Brand:      f.Brand,
		Bytes:      s.size,
		Fragmented: f.Fragmented,
		IndexFirst: f.IndexFirst,
		Duration:   sampleTime(int64(min(f.Duration, 1<<62)), int(f.Timescale)),
		Tags:       readTags(f),
	}
	if info.Chapters, err = chaptersOf(f); err != nil {
		return nil, err
	}
	tracks := audioTracks(f)
	info.OtherTracks = len(f.Tracks) - len(tracks)
	for i, t := range tracks {
		track, err := probeTrack(s, f, i+1, t, limits)
		if err != nil {
			return nil, err
		}
		track.Default = i == defaultTrack(tracks)
		if f.Duration == 0 { // fragments are not counted beforehand
			info.Duration = max(info.Duration, track.Duration)
		}
		info.Audio = append(info.Audio, track)
	}
	for _, e := range f.Pictures {
		head, err := f.PictureHead(e)
		if err != nil {
			return nil, err
		}
		if mime := pictureType(head); mime != "" {
			info.Covers = append(info.Covers, PictureInfo{MIME: mime, Bytes: e.Size})
		}
	}
	info.BytesRead = s.read
	return info, nil
}

// chaptersOf returns the chapters of a file.
func chaptersOf(f *mp4.File) ([]Chapter, error) {
	found, err := f.ReadChapters()
	var out []Chapter
	for _, c := range found {
		out = append(out, Chapter{Start: c.Start, Title: strings.ToValidUTF8(c.Title, "\uFFFD")})
	}
	return out, err
}

// probeTrack describes a track. Only the caller's own errors and the context's
// end it; what is wrong with the track leaves fields empty.
func probeTrack(s *source, f *mp4.File, number int, t *mp4.Track, limits Limits) (Track, error) {
	ours := func(err error) bool { return err != nil && CodeOf(fail("probe", err)) != CodeIO && s.ctx.Err() == nil }
	if t.Check() != nil {
		return newTrack(number, t, nil), nil
	}
	d, err := newDecoder(s, f, t, limits)
	if err != nil {
		if ours(err) {
			return newTrack(number, t, nil), nil
		}
		return Track{}, err
	}
	defer d.close()
	d.demux.window = probeAhead
	out := newTrack(number, t, d.stream)
	first, err := d.demux.start()
	if err != nil && err != io.EOF && !ours(err) {
		return out, err
	}
	shown, err := present(t, d.stream, f.Gapless, first)
	if err != nil {
		if ours(err) {
			return out, nil
		}
		return out, err
	}
	bytes, ticks, err := measure(s, t, d.stream.packing)
	if err != nil {
		return out, err
	}
	if ticks > 0 {
		out.BitRate = mp4.Rescale(bytes*8, int64(t.Timescale), ticks)
	}
	if shown.ticks < 0 {
		shown.ticks = first + ticks
	}
	out.Duration = shown.duration(t.Timescale)
	if !out.Decodable {
		return out, nil
	}
	d.most = probePackets
	if _, _, err := d.read(); err != nil && err != io.EOF && !ours(err) {
		return out, err
	}
	out.observe(d)
	return out, nil
}

// measure walks the index of a track and returns the bytes of its samples and
// their length in ticks, as far as the file has them.
func measure(s *source, t *mp4.Track, packing mp4.Packing) (bytes, ticks int64, err error) {
	samples, err := t.Samples(packing)
	if err != nil {
		return 0, 0, nil // what is wrong with the track is no reason to fail
	}
	for {
		sample, err := samples.Next()
		if err != nil {
			if err == io.EOF || errors.Is(err, mp4.ErrTruncated) || errors.Is(err, mp4.ErrInvalid) || errors.Is(err, mp4.ErrLimit) {
				return bytes, ticks, nil
			}
			return 0, 0, err
		}
		if err := s.ctx.Err(); err != nil {
			return 0, 0, err
		}
		bytes += sample.Size
		ticks += sample.Duration
	}
}

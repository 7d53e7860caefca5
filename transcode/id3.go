package transcode

import (
	"errors"
	"strconv"
	"time"

	"github.com/mp3lathe/mp3lathe/transcode/internal/id3"
	"github.com/mp3lathe/mp3lathe/transcode/internal/mp4"
)

// id3Tag returns the ID3 tag for the MP3, or nothing if there is nothing to say.
func id3Tag(f *mp4.File, source Tags, language string, chapters []chapterSpan, opts *Options, limits Limits) ([]byte, error) {
	var tags Tags
	if !opts.NoTags {
		tags = source
	}
	tags = tags.merge(opts.Tags)
	pictures, err := covers(f, opts, limits)
	if err != nil {
		return nil, err
	}
	tag := id3.New(id3.V23)
	if opts.ID3 == ID3v24 {
		tag = id3.New(id3.V24)
	}
	tag.Text("TIT2", tags.Title)
	tag.Text("TPE1", tags.Artist)
	tag.Text("TALB", tags.Album)
	tag.Text("TPE2", tags.AlbumArtist)
	tag.Text("TCOM", tags.Composer)
	tag.Text("TRCK", tags.Track)
	tag.Text("TPOS", tags.Disc)
	tag.Text("TCON", tags.Genre)
	tag.Text("TCOP", tags.Copyright)
	tag.Text("TIT1", tags.Grouping)
	addDate(tag, tags.Date, opts.ID3)
	tag.Comment(language, tags.Comment)
	tag.Lyrics(language, tags.Lyrics)
	tag.UserText("description", tags.Description)
	addChapters(tag, chapters)
	for i, p := range pictures {
		kind, description := id3.FrontCover, ""
		if i > 0 {
			kind, description = id3.Other, strconv.Itoa(i+1)
		}
		tag.Picture(kind, pictureType(p), description, p)
	}
	if tag.Empty() {
		return nil, nil
	}
	return tag.Bytes(), nil
}

// maxChapters is what a list of chapters in an ID3 tag can count.
const maxChapters = 255

// chapterSpan is a chapter on the timeline of the MP3.
type chapterSpan struct {
	start, end time.Duration
	title      string
}

// cutChapters returns the chapters that lie in a cut of the presentation, on the
// cut's own timeline. length is that of the cut, 0 if it is not known.
func cutChapters(chapters []Chapter, from, length time.Duration) []chapterSpan {
	var out []chapterSpan
	for i, c := range chapters {
		s := chapterSpan{start: max(0, c.Start-from), end: length, title: c.Title}
		if i+1 < len(chapters) {
			s.end = chapters[i+1].Start - from
			if length > 0 {
				s.end = min(s.end, length)
			}
		}
		if s.end == 0 && i+1 == len(chapters) {
			s.end = s.start // not known
		} else if s.end <= s.start {
			continue // outside of the cut
		}
		if len(out) < maxChapters {
			out = append(out, s)
		}
	}
	return out
}

// addChapters writes the chapters.
func addChapters(tag *id3.Tag, chapters []chapterSpan) {
	var ids []string
	for i, c := range chapters {
		id := "ch" + strconv.Itoa(i+1)
		ids = append(ids, id)
		tag.Chapter(id, c.start, c.end, c.title)
	}
	if len(ids) > 0 {
		tag.Contents(ids)
	}
}

// addDate writes a year, or a date beginning with one.
func addDate(tag *id3.Tag, date string, version ID3Version) {
	if version == ID3v24 {
		tag.Text("TDRC", date)
		return
	}
	if len(date) < 4 {
		return
	}
	tag.Text("TYER", date[:4])
	if len(date) >= 10 && date[4] == '-' && date[7] == '-' {
		tag.Text("TDAT", date[8:10]+date[5:7]) // DDMM
	}
}

// covers returns the pictures for the tag, the cover first. Those that are too
// large to hold, or no pictures, are left out.
func covers(f *mp4.File, opts *Options, limits Limits) ([][]byte, error) {
	if opts.Cover != nil {
		return [][]byte{opts.Cover.Data}, nil
	}
	if opts.NoCover {
		return nil, nil
	}
	var out [][]byte
	left := limits.Allocation
	for _, e := range f.Pictures {
		if e.Size > left {
			continue
		}
		data, err := f.Picture(e)
		if errors.Is(err, mp4.ErrLimit) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if pictureType(data) != "" {
			out = append(out, data)
			left -= e.Size
		}
	}
	return out, nil
}

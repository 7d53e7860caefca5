package transcode

import "bytes"

// Tags are the tags of a source or of an MP3. All are UTF-8; empty means that
// there is none.
type Tags struct {
	Title       string `json:"title,omitempty"`
	Artist      string `json:"artist,omitempty"`
	Album       string `json:"album,omitempty"`
	AlbumArtist string `json:"album_artist,omitempty"`
	Composer    string `json:"composer,omitempty"`
	// Date is a year ("2024") or an ISO 8601 date ("2024-05-17"). ID3v2.3 keeps
	// its year.
	Date string `json:"date,omitempty"`
	// Track number, "3" or "3/12".
	Track string `json:"track,omitempty"`
	// Disc number, "1" or "1/2".
	Disc      string `json:"disc,omitempty"`
	Genre     string `json:"genre,omitempty"`
	Comment   string `json:"comment,omitempty"`
	Copyright string `json:"copyright,omitempty"`
	Grouping  string `json:"grouping,omitempty"`
	Lyrics    string `json:"lyrics,omitempty"`
	// Description is a longer text about the work, as podcasts have it.
	Description string `json:"description,omitempty"`
}

// fields pairs each tag with its name in libav's metadata.
func (t *Tags) fields() map[string]*string {
	return map[string]*string{
		"title":        &t.Title,
		"artist":       &t.Artist,
		"album":        &t.Album,
		"album_artist": &t.AlbumArtist,
		"composer":     &t.Composer,
		"date":         &t.Date,
		"track":        &t.Track,
		"disc":         &t.Disc,
		"genre":        &t.Genre,
		"comment":      &t.Comment,
		"copyright":    &t.Copyright,
		"grouping":     &t.Grouping,
		"lyrics":       &t.Lyrics,
		"description":  &t.Description,
	}
}

// merge returns t with every field that over has set.
func (t Tags) merge(over Tags) Tags {
	theirs := over.fields()
	for name, field := range t.fields() {
		if *theirs[name] != "" {
			*field = *theirs[name]
		}
	}
	return t
}

// Picture is a picture for the cover.
type Picture struct {
	// Data is a whole JPEG or PNG file.
	Data []byte
}

// PictureInfo describes a picture in a source's tags.
type PictureInfo struct {
	// MIME is "image/jpeg" or "image/png".
	MIME string `json:"mime"`
	// Bytes is its size.
	Bytes int64 `json:"bytes"`
}

// pictureType returns the MIME type of a picture by its first bytes, or "" if it
// is of no kind that an MP3 player shows.
func pictureType(data []byte) string {
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xd8\xff")):
		return "image/jpeg"
	case bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")):
		return "image/png"
	}
	return ""
}

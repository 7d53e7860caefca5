package gridimport

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Message is one of the old project's queue: in the queue of videos without an MP3, in that
// of MP3s with one.
type Message struct {
	Video string `json:"video_fid"`
	MP3   string `json:"mp3_fid"` // "" if there is none yet
	User  string `json:"username"`
}

// Messages tell whose files are, and which belong together.
type Messages struct {
	byVideo, byMP3 map[string]Message
}

// maxLine is the longest message that is read.
const maxLine = 1 << 20

// ReadMessages reads messages, one a line, as JSON. A later one of the same video wins if
// it knows of an MP3.
func ReadMessages(r io.Reader) (*Messages, error) {
	m := &Messages{map[string]Message{}, map[string]Message{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		var msg Message
		if err := json.Unmarshal(lines.Bytes(), &msg); err != nil {
			return nil, fmt.Errorf("line %d is no message of JSON: %w", n, err)
		}
		if msg.Video == "" && msg.MP3 == "" {
			return nil, fmt.Errorf("line %d has neither video_fid nor mp3_fid", n)
		}
		if msg.Video != "" && (msg.MP3 != "" || m.byVideo[msg.Video].MP3 == "") {
			m.byVideo[msg.Video] = msg
		}
		if msg.MP3 != "" {
			m.byMP3[msg.MP3] = msg
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Messages) ofVideo(id string) Message {
	if m == nil {
		return Message{}
	}
	return m.byVideo[id]
}

func (m *Messages) ofMP3(id string) Message {
	if m == nil {
		return Message{}
	}
	return m.byMP3[id]
}

// ReadOwners reads whose account in this service is whose in the old one: a line each, with
// the old name, a tab, and the ID of the account.
func ReadOwners(r io.Reader) (map[string]string, error) {
	owners := map[string]string{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		user, owner, ok := strings.Cut(lines.Text(), "\t")
		user, owner = strings.TrimSpace(user), strings.TrimSpace(owner)
		if !ok || user == "" || owner == "" {
			return nil, fmt.Errorf("line %d is not an old name, a tab and the ID of an account", n)
		}
		owners[user] = owner
	}
	return owners, lines.Err()
}

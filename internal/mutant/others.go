package mutant

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"strings"

	"github.com/mp3lathe/mp3lathe/internal/boxtree"
)

// Others returns files of other formats, which somebody has named .mp4: playlists and
// descriptions that point elsewhere, other media, what is no media, next to nothing. A
// converter of MP4 must refuse each, and open none of what they name.
func Others(seed uint64) []Mutant {
	r := rand.New(rand.NewPCG(seed, 0))
	ftyp := boxtree.New("ftyp", []byte("isom\x00\x00\x02\x00isomiso2mp41")).Append(nil)
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	files := []Mutant{
		{"hls-file", playlist("file:///etc/passwd")},
		{"hls-http", playlist("http://127.0.0.1:9/segment.ts")},
		{"hls-concat", playlist("concat:http://127.0.0.1:9/header.m3u8|file:///etc/passwd")},
		{"hls-subfile", playlist("subfile,,start,0,end,64,,:/etc/passwd")},
		{"hls-master", []byte("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nfile:///etc/passwd\n")},
		{"ffconcat", []byte("ffconcat version 1.0\nfile /etc/passwd\nfile http://127.0.0.1:9/a.mp4\n")},
		{"dash", []byte(`<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT9S">` +
			`<BaseURL>file:///etc/</BaseURL><Period><AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="1">` +
			`<SegmentList><SegmentURL media="passwd"/></SegmentList></Representation></AdaptationSet></Period></MPD>`)},
		{"smooth", []byte(`<?xml version="1.0"?><SmoothStreamingMedia MajorVersion="2"><StreamIndex Url="http://127.0.0.1:9/"/></SmoothStreamingMedia>`)},
		{"sdp", []byte("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 5004 RTP/AVP 0\r\n")},
		{"rtsp", []byte("rtsptext\r\nrtsp://127.0.0.1:9/stream\r\n")},
		{"m3u", []byte("/etc/passwd\nhttp://127.0.0.1:9/a.mp3\n")},
		{"pls", []byte("[playlist]\nFile1=file:///etc/passwd\nNumberOfEntries=1\n")},
		{"avi", riff("AVI ", "LIST", []byte("hdrlavih"), make([]byte, 60))},
		{"wav", riff("WAVE", "fmt ", []byte{16, 0, 0, 0, 1, 0, 1, 0, 0x40, 0x1f, 0, 0, 0x80, 0x3e, 0, 0, 2, 0, 16, 0}, []byte("data\x00\x08\x00\x00"), noise(r, 2048))},
		{"matroska", join([]byte("\x1a\x45\xdf\xa3\x93\x42\x82\x88matroska\x42\x87\x81\x04\x42\x85\x81\x02\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff"), noise(r, 1024))},
		{"ogg", join([]byte("OggS\x00\x02"), make([]byte, 20), []byte("\x01\x1e\x01vorbis"), noise(r, 1024))},
		{"mp3", bytes.Repeat(join([]byte{0xff, 0xfb, 0x90, 0x64}, make([]byte, 413)), 8)},
		{"mp3-id3", join([]byte("ID3\x03\x00\x00\x00\x00\x07\x76"), make([]byte, 1014), bytes.Repeat(join([]byte{0xff, 0xfb, 0x90, 0x64}, make([]byte, 413)), 8))},
		{"aac-adts", bytes.Repeat(join([]byte{0xff, 0xf1, 0x50, 0x80, 0x02, 0x1f, 0xfc}, make([]byte, 9)), 20)},
		{"flac", join([]byte("fLaC\x80\x00\x00\x22\x10\x00\x10\x00"), noise(r, 1024))},
		{"amr", join([]byte("#!AMR\n"), bytes.Repeat(join([]byte{0x3c}, make([]byte, 31)), 20))},
		{"caf", join([]byte("caff\x00\x01\x00\x00desc\x00\x00\x00\x00\x00\x00\x00\x20"), noise(r, 256))},
		{"mpeg-ts", bytes.Repeat(join([]byte{0x47, 0x40, 0, 0x10}, make([]byte, 184)), 10)},
		{"flv", join([]byte("FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"), noise(r, 256))},
		{"asf", join([]byte("\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"), noise(r, 256))},
		{"jpeg", join([]byte("\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"), noise(r, 256), []byte("\xff\xd9"))},
		{"png", join([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"), noise(r, 64))},
		{"heic", join(boxtree.New("ftyp", []byte("heic\x00\x00\x00\x00heicmif1")).Append(nil), boxtree.New("meta", make([]byte, 4)).Append(nil))},
		{"zip", join([]byte("PK\x03\x04\x14\x00\x00\x00\x08\x00"), noise(r, 256))},
		{"gzip", join([]byte("\x1f\x8b\x08\x00"), noise(r, 256))},
		{"pdf", []byte("%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n")},
		{"elf", join([]byte("\x7fELF\x02\x01\x01"), make([]byte, 57), noise(r, 256))},
		{"exe", join([]byte("MZ"), noise(r, 256))},
		{"script", []byte("#!/bin/sh\ncat /etc/passwd\n")},
		{"html", []byte("<!DOCTYPE html><script src=\"http://127.0.0.1:9/\"></script>\n")},
		{"svg", []byte(`<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>`)},
		{"php", []byte("<?php system($_GET['c']); ?>")},
		{"text", []byte(strings.Repeat("moov trak mdia ", 100))},
		{"empty", []byte{}},
		{"one-byte", []byte{0}},
		{"seven-bytes", []byte{0, 0, 0, 8, 'm', 'o', 'o'}},
		{"zeros", make([]byte, 1<<16)},
		{"ones", bytes.Repeat([]byte{0xff}, 1<<16)},
		{"noise", noise(r, 1<<16)},
		{"ftyp", ftyp},
		{"ftyp-hls", join(ftyp, playlist("file:///etc/passwd"))},
		{"ftyp-ffconcat", join(ftyp, []byte("ffconcat version 1.0\nfile /etc/passwd\n"))},
		{"ftyp-mdat-hls", join(ftyp, boxtree.New("mdat", playlist("http://127.0.0.1:9/a")).Append(nil))},
		{"ftyp-noise", join(ftyp, noise(r, 1<<12))},
		{"moov-empty", join(ftyp, boxtree.New("moov").Append(nil))},
		{"boxes", bytes.Repeat(boxtree.New("free").Append(nil), 200_000)},
		{"boxes-of-nothing", bytes.Repeat([]byte("\x00\x00\x00\x08skip\x00\x00\x00\x08mdat"), 1<<14)},
		{"fragments-of-nothing", join(ftyp, bytes.Repeat(boxtree.New("moof").Append(nil), 100_000))},
	}
	for i := range files {
		files[i].Name = "other/" + files[i].Name
	}
	return files
}

func playlist(address string) []byte {
	return []byte("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n" + address + "\n#EXT-X-ENDLIST\n")
}

// riff is a file of chunks; the first chunk's size is part of its data.
func riff(kind, chunk string, data ...[]byte) []byte {
	body := append([]byte(kind+chunk), bytes.Join(data, nil)...)
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
}

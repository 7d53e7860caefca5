// Package gridimport makes jobs of what the Python project before this one has kept: videos
// in GridFS in the database "videos", MP3s in GridFS in the database "mp3s".
//
//	src, err := gridimport.Open(ctx, "mongodb://old", gridimport.Names{})
//	report, err := gridimport.Import(ctx, src, dst, gridimport.Options{Owner: id})
//
// An MP3 becomes a job that has succeeded, whose MP3 is a copy of it; a video without one
// becomes a job that waits, if that is wished. Nothing in the old databases is changed.
//
// The ID of a job comes of the ID of the old file, so that an import which was broken off
// goes on when it is begun again, and makes nothing twice. First the bytes are copied, then
// the row is made, in one step: what lies between is overwritten by the next import, or
// removed by the sweeper.
//
// The old project kept in GridFS neither whose a file was nor which video an MP3 came from:
// that stood in the messages of its queue only. Who has those gives them as [Messages].
package gridimport

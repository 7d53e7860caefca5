// Package mail sends short mails, each to one recipient: [Sender] by SMTP, [Folder]
// into files, for a system that has no mail server.
//
//	sender, err := mail.New(mail.Config{
//		Address: "smtp.example.org:587", User: "mp3", Password: secret,
//		From: "MP3 service <mp3@example.org>",
//	})
//	...
//	err = sender.Send(ctx, mail.Message{
//		ID: "01939b6e-5a1c-7c3e-9d2f-0123456789ab.1", To: "ada@example.com",
//		Subject: "lecture.mp4 is ready", Text: text, HTML: html,
//	})
//	if mail.Permanent(err) {
//		// Another try would end the same way.
//	}
//
// What goes into the header is checked, whatever its source: a line break in a
// subject or a second address in a recipient is an error, never a second header.
package mail

package handlers_test

import (
	"bytes"
	"image"
	"image/color"
	_ "image/png"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"github.com/rollcall-mdm/rollcall/handlers"
)

const scanned = "https://mdm.example.com/enroll/k3jd92mfa0q7x1zt/Zm9vYmFyYmF6cXV4eHk"

// Somebody else's reader reads the pictures, and what a terminal shows.
func TestCodesAreRead(t *testing.T) {
	code, err := handlers.NewQR(scanned)
	if err != nil {
		t.Fatal(err)
	}
	picture, _, err := image.Decode(bytes.NewReader(code.PNG()))
	if err != nil {
		t.Fatal(err)
	}
	for name, img := range map[string]image.Image{"the picture": picture, "the terminal": terminal(code.Text())} {
		bitmap, err := gozxing.NewBinaryBitmapFromImage(img)
		if err != nil {
			t.Fatal(err)
		}
		got, err := qrcode.NewQRCodeReader().Decode(bitmap, nil)
		if err != nil || got.GetText() != scanned {
			t.Errorf("%s is read as %v, %v", name, got, err)
		}
	}
	if _, err := handlers.NewQR(strings.Repeat("x", 5000)); err == nil {
		t.Error("a text is taken that no code holds")
	}
}

// terminal paints what a dark terminal shows, four pixels a module.
func terminal(text string) image.Image {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	width := len([]rune(lines[0]))
	const scale = 4
	img := image.NewGray(image.Rect(0, 0, width*scale, 2*len(lines)*scale))
	for row, line := range lines {
		for column, r := range []rune(line) {
			for half, light := range map[int]bool{0: r == '█' || r == '▀', 1: r == '█' || r == '▄'} {
				for dot := range scale * scale {
					if light {
						img.SetGray(column*scale+dot%scale, (2*row+half)*scale+dot/scale, color.Gray{Y: 255})
					}
				}
			}
		}
	}
	return img
}

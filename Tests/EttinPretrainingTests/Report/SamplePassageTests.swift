import Testing

@testable import EttinPretraining

@Suite("Sample passages")
struct SamplePassageTests {
    @Test(
        "the gap of a prompt is its first mask, or lies behind it",
        arguments: [
            ("I am [MASK].", "I am ", ".", "I am"), ("Once upon a", "Once upon a ", "", "Once upon a"),
            ("[MASK] is [MASK]", "", " is [MASK]", nil), ("", " ", "", nil),
        ] as [(String, String, String, String?)]
    )
    func prompts(text: String, before: String, after: String, prompt: String?) {
        let passage = SamplePassage(prompt: text)
        #expect(passage.before == before && passage.after == after)
        #expect(passage.prompt == prompt)
        #expect(passage.answer == nil)
    }

    @Test("a word in the second half is hidden, without the marks around it; the rest stays as it was")
    func heldOut() throws {
        let text = "  Now is the winter of our discontent\nMade glorious summer by this \"sun,\" of York; and all"
        let passage = try #require(SamplePassage(text: text, wordCount: 14))
        #expect(passage.answer == "glorious")
        #expect(passage.masked == "Now is the winter of our discontent\nMade [MASK] summer by this \"sun,\" of")
        #expect(passage.prompt == "Now is the winter of our discontent\nMade")
        #expect(SamplePassage(text: text, wordCount: 12)?.answer == "discontent")
        #expect(SamplePassage(text: "we, we (sun,) 12 we", wordCount: 9)?.answer == "sun")
    }

    @Test("a text without words has no passage", arguments: ["", "one two three", "1 2 3 4 5 6"])
    func none(text: String) {
        #expect(SamplePassage(text: text, wordCount: 10) == nil)
    }
}

import EttinTokenizer

/// One prompt and what has been generated for it.
final class GeneratedSequence {
    let number: Int
    let prompt: PreparedText
    var sampler: TokenSampler
    private(set) var tokenIDs: [Int32] = []
    private let endTokenIDs: Set<Int32>
    private let room: Int
    private var decoder: TokenStreamDecoder
    private var stops: StopTexts
    private var text = ""
    private var finishReason: TextGenerationPipeline.Result.FinishReason?
    /// Why it cannot be continued.
    var failure: (any Error)?

    init(
        number: Int,
        prompt: PreparedText,
        options: GenerationOptions,
        endTokenIDs: Set<Int32>,
        room: Int,
        tokenizer: Tokenizer
    ) {
        self.number = number
        self.prompt = prompt
        self.endTokenIDs = endTokenIDs
        self.room = room
        sampler = TokenSampler(options, sequence: number, prompt: prompt.tokenIDs, endTokenIDs: endTokenIDs)
        decoder = TokenStreamDecoder(tokenizer, skipSpecialTokens: true)
        stops = StopTexts(options.stopTexts)
    }

    var isFinished: Bool { finishReason != nil || failure != nil }

    func diverged(_ divergence: Divergence) -> any Error {
        divergence.error("the next token of text", number: number + 1)
    }

    /// Takes the next token; gives the text that is certain by now.
    func append(_ id: Int32) -> String {
        tokenIDs.append(id)
        let isEnd = endTokenIDs.contains(id)
        var (piece, isStopped) = isEnd ? ("", false) : stops.append(decoder.append(id))
        if isStopped {
            finishReason = .stop
        } else if isEnd || tokenIDs.count >= room {
            let (rest, isLateStop) = stops.append(decoder.finish())
            finishReason = isEnd || isLateStop ? .stop : .length
            piece += rest + (isLateStop ? "" : stops.finish())
        }
        text += piece
        return piece
    }

    var result: TextGenerationPipeline.Result {
        TextGenerationPipeline.Result(
            text: text,
            tokenIDs: tokenIDs,
            finishReason: finishReason ?? .length,
            promptTokenCount: prompt.tokenIDs.count,
            isTruncated: prompt.isTruncated
        )
    }
}

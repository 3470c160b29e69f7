/// Joins tokens to text by the steps of a decoder.
struct TokenDecoder: Sendable {
    /// One step.
    enum Stage: Sendable {
        /// Through the byte alphabet.
        case byteLevel
        /// Runs of `<0xHH>` to characters, or to one U+FFFD per byte when they are not UTF-8.
        case byteFallback
        case fuse
        case replace([UInt8], with: [UInt8])
        case strip([UInt8], start: Int, stop: Int)
        case wordPiece(prefix: [UInt8], cleansUp: Bool)
        /// The replacement character to spaces, in the first token to nothing.
        case metaspace([UInt8], dropsFirst: Bool)

        /// Whether what follows sees one token.
        var fuses: Bool {
            switch self {
            case .fuse, .byteLevel: true
            default: false
            }
        }

        /// Whether the step can work on a text that comes in pieces.
        var worksOnFusedText: Bool {
            switch self {
            case .fuse, .replace, .strip: true
            default: false
            }
        }

        /// The name in the file.
        var name: String {
            switch self {
            case .byteLevel: "ByteLevel"
            case .byteFallback: "ByteFallback"
            case .fuse: "Fuse"
            case .replace: "Replace"
            case .strip: "Strip"
            case .wordPiece: "WordPiece"
            case .metaspace: "Metaspace"
            }
        }
    }

    let stages: [Stage]

    /// What the steps remember of one text.
    struct State: Sendable {
        private let stages: [Stage]
        /// Whether each step sees one token that comes in pieces.
        private let isFused: [Bool]
        /// Bytes that each step holds back.
        private var pending: [[UInt8]]
        /// Tokens that each step has seen, or characters that it has stripped in front.
        private var counts: [Int]

        init(_ decoder: TokenDecoder) {
            stages = decoder.stages
            isFused = stages.indices.map { decoder.stages[..<$0].contains(where: \.fuses) }
            pending = Array(repeating: [], count: stages.count)
            counts = Array(repeating: 0, count: stages.count)
        }

        /// Takes a token, and appends what is certain by now.
        mutating func append(_ token: [UInt8], to output: inout [UInt8]) {
            pass(token, to: 0, &output)
        }

        /// Ends the text, and appends what was held back.
        mutating func finish(_ output: inout [UInt8]) {
            for index in stages.indices {
                let rest = pending[index]
                pending[index] = []
                switch stages[index] {
                case .byteFallback: passBytes(rest, from: index, &output)
                case .replace: if !rest.isEmpty { pass(rest, to: index + 1, &output) }
                default: break
                }
            }
        }

        private mutating func pass(_ token: [UInt8], to index: Int, _ output: inout [UInt8]) {
            guard index < stages.count else {
                output += token
                return
            }
            switch stages[index] {
            case .fuse: pass(token, to: index + 1, &output)
            case .byteLevel:
                pass(token.withUnsafeBufferPointer { ByteAlphabet.bytes(of: $0) }, to: index + 1, &output)
            case .byteFallback:
                if let byte = Self.byte(of: token) {
                    pending[index].append(byte)
                    return
                }
                let bytes = pending[index]
                pending[index] = []
                passBytes(bytes, from: index, &output)
                pass(token, to: index + 1, &output)
            case .replace(let pattern, let content):
                guard isFused[index] else {
                    pass(TokenDecoder.replacing(pattern, by: content, in: token), to: index + 1, &output)
                    return
                }
                let (text, rest) = TokenDecoder.replaced(pending[index] + token, pattern, content)
                pending[index] = rest
                if !text.isEmpty { pass(text, to: index + 1, &output) }
            case .strip(let content, let start, let stop):
                if isFused[index] {
                    stripFused(token, content, start, stop, index, &output)
                } else {
                    pass(Self.stripped(token, content, start, stop), to: index + 1, &output)
                }
            case .wordPiece(let prefix, let cleansUp):
                var text = token
                if counts[index] > 0 {
                    if token.starts(with: prefix) {
                        text.removeFirst(prefix.count)
                    } else {
                        text.insert(UInt8(ascii: " "), at: 0)
                    }
                }
                counts[index] = 1
                pass(cleansUp ? Self.cleanedUp(text) : text, to: index + 1, &output)
            case .metaspace(let replacement, let dropsFirst):
                let content: [UInt8] = dropsFirst && counts[index] == 0 ? [] : [UInt8(ascii: " ")]
                counts[index] = 1
                pass(TokenDecoder.replacing(replacement, by: content, in: token), to: index + 1, &output)
            }
        }

        // MARK: - Bytes

        private mutating func passBytes(_ bytes: [UInt8], from index: Int, _ output: inout [UInt8]) {
            guard !bytes.isEmpty else { return }
            if String(validating: bytes, as: UTF8.self) != nil {
                pass(bytes, to: index + 1, &output)
            } else {
                for _ in bytes { pass(Array("\u{FFFD}".utf8), to: index + 1, &output) }
            }
        }

        private static func byte(of token: [UInt8]) -> UInt8? {
            guard token.count == 6, token.starts(with: "<0x".utf8), token[5] == UInt8(ascii: ">") else { return nil }
            return UInt8(String(decoding: token[3..<5], as: UTF8.self), radix: 16)
        }

        // MARK: - Texts

        private static func stripped(_ token: [UInt8], _ content: [UInt8], _ start: Int, _ stop: Int) -> [UInt8] {
            var text = token[...]
            for _ in 0..<start where text.starts(with: content) { text.removeFirst(content.count) }
            for _ in 0..<stop where text.suffix(content.count).elementsEqual(content) { text.removeLast(content.count) }
            return Array(text)
        }

        /// Strips a text that comes in pieces: characters at its end so far are held back.
        private mutating func stripFused(
            _ piece: [UInt8],
            _ content: [UInt8],
            _ start: Int,
            _ stop: Int,
            _ index: Int,
            _ output: inout [UInt8]
        ) {
            var text = (pending[index] + piece)[...]
            while counts[index] < start, text.starts(with: content) {
                text.removeFirst(content.count)
                counts[index] += 1
            }
            if !text.isEmpty { counts[index] = start }
            var kept = text
            var held = 0
            while held < stop, kept.suffix(content.count).elementsEqual(content) {
                kept.removeLast(content.count)
                held += 1
            }
            pending[index] = Array(text[kept.endIndex...])
            if !kept.isEmpty { pass(Array(kept), to: index + 1, &output) }
        }

        /// Takes spaces out of a token in front of punctuation and English contractions, as the original does.
        private static func cleanedUp(_ token: [UInt8]) -> [UInt8] {
            guard token.contains(UInt8(ascii: " ")) else { return token }
            let replacements: [(String, String)] = [
                (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"),
                (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
            ]
            return replacements.reduce(token) { token, replacement in
                TokenDecoder.replacing(Array(replacement.0.utf8), by: Array(replacement.1.utf8), in: token)
            }
        }
    }

    /// A text with all matches replaced, and the bytes at its end that are fewer than the pattern has.
    fileprivate static func replaced(
        _ text: [UInt8],
        _ pattern: [UInt8],
        _ content: [UInt8]
    ) -> (text: [UInt8], rest: [UInt8]) {
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var position = 0
        while position + pattern.count <= text.count {
            if text[position] == pattern[0], text[position...].starts(with: pattern) {
                result += content
                position += pattern.count
            } else {
                result.append(text[position])
                position += 1
            }
        }
        return (result, Array(text[position...]))
    }

    /// A text with all matches of a pattern, which is not empty, replaced.
    static func replacing(_ pattern: [UInt8], by content: [UInt8], in text: [UInt8]) -> [UInt8] {
        let (result, rest) = replaced(text, pattern, content)
        return result + rest
    }
}

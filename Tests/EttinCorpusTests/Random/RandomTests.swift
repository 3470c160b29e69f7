import EttinCorpus
import Testing

@Suite("The originals' random generators")
struct RandomTests {
    @Test("PCG64DXSM gives NumPy's words and permutations")
    func dxsm() {
        var generator = NumPyGenerator(seed: 21, variant: .dxsm)
        let words = (0..<3).map { _ in generator.next64() }
        #expect(words == [0xE370_6727_95A9_66D5, 0x0F62_F441_4FF4_0C15, 0xA961_945F_0BCE_E3C9])
        let permutations: [UInt64: [Int]] = [
            21: [3, 9, 10, 2, 0, 6, 4, 8, 1, 11, 7, 5],
            22: [10, 6, 5, 11, 7, 8, 4, 0, 2, 1, 9, 3],
            42: [9, 0, 10, 6, 4, 11, 8, 5, 7, 1, 2, 3],
        ]
        for (seed, expected) in permutations {
            var generator = NumPyGenerator(seed: seed, variant: .dxsm)
            #expect(generator.permutation(12) == expected)
            var narrow = NumPyGenerator(seed: seed, variant: .dxsm)
            #expect(narrow.permutation(12, as: UInt32.self) == expected.map { UInt32($0) })
        }
    }

    @Test("PCG64 gives NumPy's words, numbers, integers and permutations")
    func pcg64() {
        var words = NumPyGenerator(seed: 21)
        #expect(
            (0..<3).map { _ in words.next64() }
                == [0xC7F7_5282_4D29_6872, 0x9B18_CA7A_62D4_5CA3, 0xB5B5_87E3_774F_67ED]
        )
        var numbers = NumPyGenerator(seed: 21)
        #expect(
            (0..<3).map { _ in numbers.random() } == [0.781117588817471, 0.605847029570968, 0.7098011904084252]
        )
        var integers = NumPyGenerator(seed: 21)
        #expect((0..<5).map { _ in integers.integer(in: 0..<50285) } == [15156, 39278, 19412, 30465, 23435])
        var permutation = NumPyGenerator(seed: 21)
        #expect(permutation.permutation(12) == [7, 8, 5, 4, 1, 0, 10, 6, 9, 3, 11, 2])
    }

    @Test("Doubles do not take the half word that an integer left")
    func mixedDraws() {
        var generator = NumPyGenerator(seed: 7)
        #expect(generator.integer(in: 3..<9) == 8)
        #expect(
            (0..<3).map { _ in generator.uniform(-2, 3) }
                == [2.4860690048478773, 1.8784284512259677, -0.8739640500470407]
        )
    }

    @Test("A range of one value draws nothing; ranges wider than 32 bits stay inside")
    func ranges() {
        var generator = NumPyGenerator(seed: 1)
        let untouched = generator
        #expect(generator.integer(in: 5..<6) == 5)
        #expect(generator == untouched)
        let wide = -3_000_000_000..<3_000_000_000
        for _ in 0..<1000 { #expect(wide.contains(generator.integer(in: wide))) }
    }

    @Test("The legacy generator gives numpy.random.randint's numbers")
    func legacy() {
        var generator = NumPyLegacyGenerator(seed: 42)
        let limits = [522, 566, 1000, 3, 1, 894]
        #expect(limits.map { generator.integer(in: 0..<$0) } == [102, 435, 860, 2, 0, 106])
    }

    @Test("Python's generator gives its shuffles and choices")
    func python() {
        var first = Array(0..<10)
        var generator = PythonGenerator(seed: 42)
        generator.shuffle(&first)
        #expect(first == [7, 3, 2, 8, 5, 6, 9, 4, 0, 1])
        var second = Array(0..<10)
        generator = PythonGenerator(seed: 12345)
        generator.shuffle(&second)
        #expect(second == [8, 7, 3, 5, 1, 2, 9, 4, 0, 6])
        generator = PythonGenerator(seed: 7)
        #expect(generator.choice(["only"]) == "only")
    }
}

import TestSupport
import Testing

@testable import EttinTraining

@Suite("Sweep files")
struct SweepFileTests {
    static let command = SweepCommand(
        name: "train",
        outputKey: "save_folder",
        modelFolder: "latest",
        overrides: ["autoresume=true"]
    )

    static let grid = """
        command: train
        recipe: recipes/a.yaml
        output: runs/it's
        metric: {name: eval_loss}
        parameters:
          lr: {values: [1e-3, 3e-3]}
          name: {values: [plain, 'two words', [1, a]]}
        seeds: [1, 2]
        set: [steps=5]
        """

    private func sweep(_ text: String = grid, _ overrides: [String] = []) throws -> SweepFile {
        try withTemporaryFolder { folder in
            try SweepFile(path: try folder.write(text, "sweep.yaml"), overrides: overrides, commands: [Self.command])
        }
    }

    @Test("a grid has every combination, each with every seed, the first parameter slowest")
    func grid() throws {
        let sweep = try sweep(Self.grid, ["device=cuda", "seed=9"])
        #expect(sweep.recipes[0].path.hasSuffix("/recipes/a.yaml"))
        #expect(sweep.seed == 9)
        let runs = sweep.runs
        #expect(runs.count == 2 * 3 * 2)
        #expect(Set(runs.map(\.outputFolder)).count == 12)
        #expect(runs[0].name == "lr=1e-3,name=plain,seed=1")
        #expect(
            runs[1].overrides == [
                "steps=5", "device=cuda", "lr=1e-3", "name=plain", "seed=2", "autoresume=true",
                "save_folder='runs/it''s/lr=1e-3,name=plain,seed=2'",
            ]
        )
        #expect(runs[2].overrides.contains("name='two words'"))
        // What is not plain enough for a folder is told apart by a hash.
        #expect(runs[2].name.hasPrefix("lr=1e-3,name=_two_words_,seed=1-"))
        #expect(runs[4].overrides.contains(#"name=[1,"a"]"#))
        #expect(runs[6].setting.first?.text == "3e-3")
    }

    @Test("run_cap takes the first settings of a grid, and seeds alone make a sweep")
    func caps() throws {
        let runs = try sweep().runs
        let capped = try sweep(Self.grid, ["run_cap=4"]).runs
        #expect(capped.map(\.overrides) == runs.prefix(8).map(\.overrides))
        let seeds = try sweep(Self.grid, ["parameters=", "seeds=[3, 4]"]).runs
        #expect(seeds.map(\.name) == ["seed=3", "seed=4"])
        let unseeded = try sweep(Self.grid, ["seeds="]).runs
        #expect(unseeded.count == 6)
        #expect(!unseeded[0].overrides.contains { $0.hasPrefix("seed=") })
    }

    @Test("several recipes run one after the other, and one takes the finished model of another's first run")
    func recipes() throws {
        let text = """
            command: train
            output: o
            recipes:
              large: recipes/large.yaml
              small: {recipe: recipes/small.yaml, uses: {start: large}, set: [size=1]}
            parameters: {lr: {values: [1, 2]}}
            seeds: [7, 8]
            set: [steps=5]
            """
        let runs = try sweep(text).runs
        #expect(runs.count == 8 && Set(runs.map(\.outputFolder)).count == 8)
        #expect(runs[0].name == "recipe=large,lr=1,seed=7" && runs[0].dependencies == [])
        #expect(runs[0].recipe.path.hasSuffix("/recipes/large.yaml"))
        #expect(runs[7].setting.map(\.text) == ["small", "2"])
        #expect(runs[7].dependencies == ["o/recipe=large,lr=2,seed=7"])
        #expect(
            runs[7].overrides == [
                "size=1", "steps=5", "lr=2", "seed=8", "start='o/recipe=large,lr=2,seed=7/latest'", "autoresume=true",
                "save_folder='o/recipe=small,lr=2,seed=8'",
            ]
        )
        #expect(try sweep(text, ["recipes.small.uses="]).runs[7].dependencies == [])
    }

    @Test(
        "recipes that cannot be run are refused",
        arguments: [
            ("recipe: a.yaml", "stands beside recipes"), ("metric: {name: loss}", "stands beside recipes"),
            ("recipes: {a: {recipe: a, uses: {start: b}}, b: b}", "a recipe that stands before"),
            ("recipes: {a: {uses: {}}}", "recipes.a.recipe"), ("recipes: {a/b: c}", "names that folders can have"),
            ("recipes: []", "a mapping of names to recipe files"), ("recipes: {a: {file: c}}", "file"),
            ("recipes: {a: a, b: {recipe: b, uses: {lr: a}}}", "no key that takes the model of a"),
        ]
    )
    func recipesRefused(line: String, part: String) throws {
        let recipes = line.hasPrefix("recipes") ? "" : "recipes: {a: a.yaml, b: b.yaml}\n"
        let text = "command: train\noutput: o\nparameters: {lr: {values: [1]}}\n\(recipes)\(line)\n"
        do {
            _ = try sweep(text)
            Issue.record("\(line) was taken")
        } catch {
            #expect("\(error)".contains(part), "\(error)")
        }
    }

    @Test("nested parameters have dotted names")
    func nested() throws {
        let optimizer = "{parameters: {lr: {value: 1}, betas: {values: [[0.9, 0.98]]}}}"
        let parameters = "parameters: {optimizer: \(optimizer), b: {value: x}}"
        let text = "command: train\nrecipe: a\noutput: o\n" + parameters
        let runs = try sweep(text).runs
        #expect(runs.map { $0.setting.map(\.key) } == [["optimizer.lr", "optimizer.betas", "b"]])
        #expect(runs[0].setting[1].text == "[0.9,0.98]")
    }

    private static let draws = """
        command: train
        recipe: a.yaml
        output: o
        method: random
        run_cap: 5
        parameters:
          lr: {min: 1e-5, max: 1e-3, distribution: log_uniform_values}
          size: {min: 2, max: 40}
          dropout: {min: 0.0, max: 0.5, q: 0.05, distribution: q_uniform}
          kind: {values: [a, b, c], probabilities: [0.5, 0.25, 0.25]}
        """

    @Test("draws are functions of seed, key and number")
    func draws() throws {
        let five = try sweep(Self.draws).runs.map(\.setting)
        #expect(try sweep(Self.draws, ["run_cap=9"]).runs.prefix(5).map(\.setting) == five)
        let other = try sweep(Self.draws, ["seed=1"]).runs.map(\.setting)
        #expect(other != five)
        let fewer = try sweep(Self.draws, ["parameters.size={value: 3}"]).runs.map(\.setting)
        #expect(fewer.map { $0[0] } == five.map { $0[0] })
        // Kept, so that a sweep of an earlier version is the same sweep.
        #expect(five.map { $0.map(\.text) } == Self.known)
    }

    private static let known = [
        ["0.0007988", "7", "0.5", "a"], ["0.000134", "27", "0.1", "a"], ["0.0001597", "38", "0.05", "c"],
        ["1.602e-05", "13", "0.35", "c"], ["3.583e-05", "9", "0.35", "a"],
    ]

    @Test(
        "distributions have their range and mean",
        arguments: [
            ("{min: 1, max: 3}", 1.0...3.0, 2.0), ("{min: 1.0, max: 3.0}", 1.0...3.0, 2.0),
            ("{min: 1e-4, max: 1e-2, distribution: log_uniform_values}", 1e-4...1e-2, 0.00215),
            ("{min: -2, max: 0, distribution: log_uniform}", 0.1353...1.0, 0.4323),
            ("{min: 0, max: 10, q: 4, distribution: q_uniform}", 0.0...12.0, 5.2),
            ("{mu: 5, sigma: 0.5}", 0.0...10.0, 5.0),
            ("{mu: 0, sigma: 0.5, distribution: log_normal}", 0.0...20.0, 1.1331),
            ("{mu: 7, sigma: 2, q: 2, distribution: q_normal}", -8.0...22.0, 7.0),
        ]
    )
    func distributions(text: String, range: ClosedRange<Double>, mean: Double) throws {
        let head = "command: train\nrecipe: a\noutput: o\nmethod: random\nrun_cap: 1\nparameters: {x: \(text)}"
        let parameter = try #require(try sweep(head).parameters.first)
        let generator = parameter.generator(seed: 3)
        let values = (0..<4000).compactMap { Double(parameter.distribution.draw(generator, at: $0)) }
        #expect(values.count == 4000)
        #expect(values.allSatisfy(range.contains))
        let found = values.reduce(0, +) / 4000
        #expect(abs(found - mean) < 0.05 * max(abs(mean), range.upperBound - range.lowerBound), "\(found)")
    }

    @Test("settings that were drawn are not drawn again, however few there are")
    func repeated() throws {
        let head = "command: train\nrecipe: a\noutput: o\nmethod: random\nrun_cap: 50\n"
        let text = head + "parameters: {x: {min: 1, max: 6}}"
        let runs = try sweep(text).runs
        #expect(Set(runs.map(\.name)) == Set((1...6).map { "x=\($0)" }))
        #expect(runs.count == 6)
    }

    @Test(
        "a sweep that cannot be is refused by the key's name",
        arguments: [
            ("command=", "command: is empty; expected train"),
            ("command=trian", "command: is \"trian\"; expected train; did you mean train?"),
            ("recipe=", "recipe: is empty; expected a recipe file"),
            ("method=bayes", "method: is \"bayes\"; expected grid, random"),
            ("method=random", "run_cap: is not there; expected how many settings to draw"),
            ("run_cap=0", "run_cap: is \"0\"; expected a whole number, 1 to 10000"),
            ("metric.nmae=x", "metric.nmae: is not a key of metric; expected a known key; did you mean metric.name?"),
            ("metric={goal: minimize}", "metric.name: is not there; expected a name under which runs log it"),
            ("metric.goal=minimise", "is \"minimise\"; expected minimize, maximize; did you mean minimize?"),
            ("parameters=[a]", "parameters: is a list; expected a mapping of the recipe's keys"),
            ("parameters.lr=1", "parameters.lr: is \"1\"; expected a mapping"),
            ("parameters.lr={}", "parameters.lr.values: is not there; expected a list of values, one value, or"),
            ("parameters.lr={values: []}", "parameters.lr.values: is an empty list; expected a list of at"),
            ("parameters.lr={values: [1, 1]}", "parameters.lr.values: has 1 twice; expected each value once"),
            ("parameters.lr={vlaues: [1]}", "vlaues: is not a key of parameters.lr; expected a known key; did you"),
            ("parameters.lr={min: 0.1, max: 1}", "parameters: have lr with distribution uniform, which has too"),
            ("parameters.lr={min: 0, max: 9999999}", "have lr with distribution int_uniform, which has too many"),
            ("parameters.lr={min: 3, max: 1}", "parameters.lr.max: is \"1\"; expected a whole number, 3 to"),
            ("parameters.lr={min: 3.5, max: 1}", "parameters.lr.max: is below min"),
            ("parameters.lr={min: 1}", "parameters.lr.max: is not there; expected a number"),
            ("parameters.lr={min: 0, max: 1, distribution: log_uniform_values}", "\"0\"; expected a number above 0"),
            ("parameters.lr={min: 1e-5, max: 1e9, distribution: log_uniform}", "\"1e9\"; expected a natural log"),
            ("parameters.lr={min: 1, max: 2, q: 1}", "parameters.lr.q: has no effect with distribution int_uniform"),
            ("parameters.lr={values: [1, 2], probabilities: [1, 1]}", "probabilities: do not add up to 1"),
            ("parameters.lr={values: [1], distribution: gaussian}", "parameters.lr.distribution: is \"gaussian\""),
            ("parameters={a.b: {value: 1}, a: {parameters: {b: {value: 2}}}}", "parameters: have a.b twice"),
            ("parameters.save_folder={values: [a]}", "parameters: have save_folder; expected output to say"),
            ("parameters.seed={values: [1]}", "parameters: have seed; expected seeds to say"),
            ("set=[save_folder=x]", "set: has \"save_folder=x\"; expected output to say"),
            ("lr=5", "set: has \"lr=5\"; expected no key of parameters"),
            ("seeds=[1, x]", "seeds: has \"x\"; expected whole numbers, 0 or more"),
            ("seeds=[1, 1]", "seeds: has 1 twice"),
            ("seeds=5", "seeds: is \"5\"; expected a list"),
            ("parameters.x={min: 0, max: 9000}", "parameters: make 108012 runs; expected at most 10000"),
        ]
    )
    func badInput(override: String, message: String) {
        #expect {
            try sweep(Self.grid, [override])
        } throws: {
            let isSaid = "\($0)".contains(message)
            if !isSaid { Issue.record("\($0)") }
            return isSaid
        }
    }

    @Test("an unknown key is refused with the nearest, and a sweep of nothing")
    func unknown() {
        #expect {
            try sweep(Self.grid + "\nparameter: {}")
        } throws: {
            "\($0)".contains("parameter: is not a key of a sweep; expected a known key; did you mean parameters?")
        }
        #expect {
            try sweep("command: train\nrecipe: a\noutput: o")
        } throws: {
            "\($0)".contains("parameters: is not there; expected keys of the recipe with their values; or seeds")
        }
    }
}

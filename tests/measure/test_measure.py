#!/usr/bin/env python3
"""tools/measure without a GPU and without PyTorch: what it would measure, files that are whole, and going on where it stopped.
usage: test_measure.py PHANTOM-GPU MICRO"""
import contextlib, importlib.util, io, json, os, subprocess, sys, tempfile, unittest

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPT = os.path.join(HERE, '..', '..', 'tools', 'measure', 'measure.py')
sys.dont_write_bytecode = True
spec = importlib.util.spec_from_file_location('measure', SCRIPT)
measure = importlib.util.module_from_spec(spec)
spec.loader.exec_module(measure)
PROGRAM, MICRO = sys.argv[1:3]


def run(*args):
    """(exit status, stdout, stderr) of measure.py."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try: status = measure.main(list(args))
        except SystemExit as e: status = e.code
    return status, out.getvalue(), err.getvalue()


class Fake:
    """A GPU with room for batches up to 8, which breaks off after some measurements."""
    version, watch = '2.4.0', None

    def __init__(self, o, most=10**9): self.o, self.left = o, most

    def measure(self, row):
        if row.get('batch', 1) > 8: raise measure.Skip('does not fit into the memory')
        if not self.left: raise KeyboardInterrupt
        self.left -= 1
        return [dict(row, gpu='custom', runtime_version=self.version, metric='latency_ms', value=2.5)]


class Tests(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.out = os.path.join(self.folder.name, 'gpu.json')

    def tearDown(self): self.folder.cleanup()

    def rows(self):
        with open(self.out) as f: return json.load(f)['benchmarks']

    def validate(self):
        r = subprocess.run([PROGRAM, 'validate', '--benchmark-data', self.out, '--json'], capture_output=True, text=True)
        self.assertEqual(r.returncode, 0, r.stderr)
        return json.loads(r.stdout)

    def assert_read(self, p):
        """A row that `validate` understands: skipped at most since nothing runs so fast as a dry run's made-up times."""
        self.assertIn('beyond belief', p.get('skipped', 'beyond belief'), p)

    def test_list_needs_nothing(self):
        status, out, _ = run('--list', '--quick')
        self.assertEqual(status, 0)
        self.assertIn('resnet50, batch 1, fp16 autocast, pytorch', out)
        self.assertIn('op:gemm', out)

    def test_every_row_can_be_predicted(self):
        self.assertEqual(run('--dry-run', '--out', self.out, '--batches', '1', '--tasks', 'inference')[0], 0)
        self.assertEqual(run('--dry-run', '--out', self.out, '--batches', '2', '--tasks', 'inference', '--layouts', 'nchw,nhwc', '--autocast', 'both',
                             '--runtimes', 'pytorch,pytorch-compile', '--only', 'resnet50,swin_t,gpt2')[0], 0)
        rows, points = self.rows(), self.validate()['points']
        self.assertEqual(len(points), len(rows))
        for p in points: self.assert_read(p)
        self.assertEqual(len({measure.identity(r) for r in rows}), len(rows))

    def test_training_rows_are_read(self):
        self.assertEqual(run('--dry-run', '--out', self.out, '--only', 'resnet50,gpt2', '--tasks', 'training', '--optimizer', 'adamw')[0], 0)
        self.assertTrue(all(r['optimizer'] == 'adamw' for r in self.rows()))
        self.assertEqual(len(self.validate()['points']), len(self.rows()))

    def test_goes_on_where_it_stopped(self):
        o = measure.arguments(['--out', self.out, '--only', 'resnet50', '--batches', '1,8'])
        rows = measure.plan(o)
        with self.assertRaises(KeyboardInterrupt), contextlib.redirect_stdout(io.StringIO()): measure.run(o, Fake(o, 3), rows)
        self.assertEqual(len(self.rows()), 3)
        before = self.rows()
        fake = Fake(o)
        with contextlib.redirect_stdout(io.StringIO()): measure.run(o, fake, rows)
        self.assertEqual(self.rows()[:3], before)
        self.assertEqual(len(self.rows()), len(rows))
        self.assertEqual(10**9 - fake.left, len(rows) - 3)

    def test_larger_batches_are_not_tried(self):
        o = measure.arguments(['--out', self.out, '--only', 'resnet50', '--batches', '8,16,32,64', '--tasks', 'inference', '--precisions', 'fp16'])
        text = io.StringIO()
        with contextlib.redirect_stdout(text): measure.run(o, Fake(o), measure.plan(o))
        self.assertEqual(len(self.rows()), 1)
        self.assertEqual(text.getvalue().count('a smaller batch did not fit'), 2)

    def test_other_files_are_left_alone(self):
        with open(self.out, 'w') as f: f.write('{"notes": 1}')
        status, _, err = run('--dry-run', '--out', self.out)
        self.assertEqual(status, 1)
        self.assertIn('not a benchmark file', err)
        with open(self.out) as f: self.assertEqual(f.read(), '{"notes": 1}')
        status, _, err = run('--dry-run', '--out', os.path.join(self.folder.name, 'no', 'such.json'))
        self.assertEqual(status, 1)
        self.assertEqual(os.listdir(self.folder.name), ['gpu.json'])

    def test_failed_write_keeps_the_file(self):
        measure.write_file(self.out, [{'model': 'resnet50'}])
        with self.assertRaises(TypeError): measure.write_file(self.out, [{'model': object()}])
        self.assertEqual(self.rows(), [{'model': 'resnet50'}])
        self.assertEqual(os.listdir(self.folder.name), ['gpu.json'])

    def test_usage(self):
        for args in (['--out'], [], ['--out', self.out, '--precisions', 'fp99'], ['--out', self.out, '--batches', '0'], ['--out', self.out, '--tasks', 'x']):
            status, _, err = run(*args)
            self.assertEqual(status, 2)
            self.assertIn('measure.py', err + 'measure.py')

    def test_without_pytorch(self):
        r = subprocess.run([sys.executable, '-S', '-c', 'import sys; sys.modules["torch"] = None; sys.argv = sys.argv[1:]; '
                            'exec(compile(open(sys.argv[0]).read(), sys.argv[0], "exec"))', SCRIPT, '--out', self.out], capture_output=True, text=True)
        self.assertEqual(r.returncode, 1)
        self.assertIn('torch is not installed', r.stderr)
        self.assertFalse(os.path.exists(self.out))

    def test_micro(self):
        r = subprocess.run([MICRO, '--dry-run', '--out', self.out, '--gpu', 'rtx4090', '--source', 'a "b"\\'], capture_output=True, text=True)
        self.assertEqual(r.returncode, 0, r.stderr)
        for p in self.validate()['points']: self.assert_read(p)
        self.assertEqual({r['gpu'] for r in self.rows()}, {'rtx4090'})
        r = subprocess.run([MICRO, '--out', os.path.join(self.folder.name, 'no', 'x.json'), '--dry-run'], capture_output=True, text=True)
        self.assertEqual(r.returncode, 1)
        self.assertEqual(subprocess.run([MICRO, '--what'], capture_output=True).returncode, 2)


if __name__ == '__main__':
    result = unittest.TextTestRunner(stream=sys.stdout).run(unittest.defaultTestLoader.loadTestsFromTestCase(Tests))
    bad = len(result.failures) + len(result.errors)
    print(f'[  PASSED  ] {result.testsRun - bad} test(s).')
    if bad: print(f'[  FAILED  ] {bad} test(s).')
    sys.exit(bool(bad))

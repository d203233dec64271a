from nrm_verify.cli import run

run()

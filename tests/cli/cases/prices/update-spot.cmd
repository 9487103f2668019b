# Spot prices of AWS, with the user's keys; whatever goes wrong with them, prices on demand are kept.
export PHANTOM_GPU_HUB_RETRIES=0 XDG_CACHE_HOME=$PWD/cache
try() { # RULE
    hub_server --log "$CASES/live" "NextToken=t%2F2%3D file=spot2.xml" "$1" "/aws file=aws.csv" -- \
        phantom-gpu prices update --cloud aws --refresh --today 2026-11-21 2>err
    echo "exit $?"
    sed 's/InstanceType[^&]*&//g; s/\(StartTime\|X-Amz-[DS][a-z]*e\)=[^& ]*/\1=T/g; s/2F20[0-9]*%/2FDAY%/' err
    phantom-gpu prices list --cloud aws --region us-east-1 --gpu t4 --output csv --today 2026-11-21 | grep g4dn.xlarge
}
try "Action= close"
export AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY
try "Action= file=spot.xml"
try "Action= status=403"
try "Action= body=<html>"
try "Action= file=spot-bad.xml"
unset AWS_ACCESS_KEY_ID
mkdir .aws
printf '[default]\naws_access_key_id = WRONG\n\n[work]\naws_access_key_id=AKIDPROFILE\naws_secret_access_key = s3cret\naws_session_token = a/b==\n' >.aws/credentials
AWS_PROFILE=work try "Action= file=spot2.xml"
try "Action= file=spot2.xml"
